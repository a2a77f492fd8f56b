{{- define "routerfleet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of a component's objects: dict "root" . "component" "writer". */}}
{{- define "routerfleet.name" -}}
{{- printf "%s-%s" (include "routerfleet.fullname" .root) .component -}}
{{- end -}}

{{- define "routerfleet.selector" -}}
app.kubernetes.io/name: routerfleet
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "routerfleet.labels" -}}
{{ include "routerfleet.selector" . }}
app.kubernetes.io/part-of: routerfleet
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image of one of our services: dict "root" . "service" "writer". */}}
{{- define "routerfleet.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := printf "%s-%s:%s" $image.repository .service (default .root.Chart.AppVersion $image.tag) -}}
{{- if $image.registry }}{{ printf "%s/%s" $image.registry $name }}{{ else }}{{ $name }}{{ end -}}
{{- end -}}

{{/* Bytes of a quantity such as 512Mi. */}}
{{- define "routerfleet.bytes" -}}
{{- $text := toString . -}}
{{- $number := int64 (regexFind "^[0-9]+" $text) -}}
{{- $factor := get (dict "" 1 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776) (regexFind "[A-Za-z]*$" $text) -}}
{{- mul $number (int64 $factor) -}}
{{- end -}}

{{/*
The size of a StatefulSet's volumes: dict "root" . "name" … "size" …. A StatefulSet's claims
cannot be changed, so one that is there keeps its size, and one that is too small is said so.
*/}}
{{- define "routerfleet.claimSize" -}}
{{- $size := toString .size -}}
{{- $there := lookup "apps/v1" "StatefulSet" .root.Release.Namespace .name -}}
{{- range (dig "spec" "volumeClaimTemplates" list (default dict $there)) -}}
{{- $own := .spec.resources.requests.storage -}}
{{- if lt (int64 (include "routerfleet.bytes" $own)) (int64 (include "routerfleet.bytes" $size)) -}}
{{- fail (printf "%s: the volume is to have %s and has %s, which no upgrade can change. Enlarge it first: README.md of the chart, 'Larger volumes'" $.name $size $own) -}}
{{- end -}}
{{- $size = $own -}}
{{- end -}}
{{- $size -}}
{{- end -}}
