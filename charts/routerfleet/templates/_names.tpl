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

{{/* The port that a client of this URL goes to. */}}
{{- define "routerfleet.urlPort" -}}
{{- $url := urlParse . -}}
{{- default (ternary "443" "80" (eq $url.scheme "https")) (regexFind ":[0-9]+$" $url.host | trimPrefix ":") -}}
{{- end -}}

{{/* Bytes of a quantity such as 512Mi, or 2G, as the API server writes 2000000000. */}}
{{- define "routerfleet.bytes" -}}
{{- $text := include "routerfleet.scalar" . -}}
{{- $number := int64 (regexFind "^[0-9]+" $text) -}}
{{- $factors := dict "" 1 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000 -}}
{{- $factor := get $factors (regexFind "[A-Za-z]*$" $text) -}}
{{- mul $number (int64 $factor) -}}
{{- end -}}

{{/*
The size of a StatefulSet's volumes: dict "root" . "name" … "size" …. A StatefulSet's claims
cannot be changed, so one that is there keeps its size, and one that is too small is said so.
*/}}
{{- define "routerfleet.claimSize" -}}
{{- $size := include "routerfleet.scalar" .size -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $there := lookup "apps/v1" "StatefulSet" $namespace .name -}}
{{- range (dig "spec" "volumeClaimTemplates" list (default dict $there)) -}}
{{- $own := .spec.resources.requests.storage -}}
{{- if lt (int64 (include "routerfleet.bytes" $own)) (int64 (include "routerfleet.bytes" $size)) -}}
{{- $patch := printf "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"%s\"}}}}" $size -}}
{{- $commands := list -}}
{{- range $index := until (int $there.spec.replicas) -}}
{{- $commands = append $commands (printf "kubectl -n %s patch pvc data-%s-%d -p '%s'" $namespace $.name $index $patch) -}}
{{- end -}}
{{- $commands = append $commands (printf "kubectl -n %s delete statefulset %s --cascade=orphan" $namespace $.name) -}}
{{- fail (printf "\n\n%s: the volume is to have %s and has %s, which no upgrade can change. Where its StorageClass allows expansion, enlarge it, and then run this upgrade again:\n\n  %s\n" $.name $size $own (join "\n  " $commands)) -}}
{{- end -}}
{{- $size = $own -}}
{{- end -}}
{{- $size -}}
{{- end -}}

{{/*
What an upgrade cannot do to a StatefulSet with volumes, said before Kubernetes does in its words:
dict "root" . "name" … "value" "nats.persistence" "persistence" .Values.nats.persistence.
*/}}
{{- define "routerfleet.checkVolumes" -}}
{{- $there := lookup "apps/v1" "StatefulSet" .root.Release.Namespace .name -}}
{{- if $there -}}
{{- $claims := dig "spec" "volumeClaimTemplates" list $there -}}
{{- $anew := printf "Delete it and let this upgrade make it anew, without what it holds:\n\n  kubectl -n %s delete statefulset %s\n  kubectl -n %s delete pvc -l app.kubernetes.io/instance=%s,app.kubernetes.io/component=%s\n" .root.Release.Namespace .name .root.Release.Namespace .root.Release.Name (trimPrefix (printf "%s-" (include "routerfleet.fullname" .root)) .name) -}}
{{- if ne (not (empty $claims)) .persistence.enabled -}}
{{- fail (printf "\n\n%s.enabled: %s was made %s a volume and is to be %s one, which no upgrade can change. %s" .value .name (ternary "with" "without" (not (empty $claims))) (ternary "with" "without" .persistence.enabled) $anew) -}}
{{- end -}}
{{- range $claims -}}
{{- $class := default "" .spec.storageClassName -}}
{{- if and $.persistence.storageClass (ne $class $.persistence.storageClass) -}}
{{- fail (printf "\n\n%s.storageClass: %s has volumes of %q and is to have them of %q, which no upgrade can change. %s" $.value $.name $class $.persistence.storageClass $anew) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
A server that was alone and becomes one of three finds its streams in no list of the three, and
deletes them; one taken away is still counted for a majority. More may join a cluster.
*/}}
{{- define "routerfleet.nats.checkReplicas" -}}
{{- $name := include "routerfleet.name" (dict "root" . "component" "nats") -}}
{{- $there := lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- if $there -}}
{{- $own := int $there.spec.replicas -}}
{{- $wanted := int .Values.nats.replicas -}}
{{- if and (ne $own 0) (ne $own $wanted) (or (eq $own 1) (lt $wanted $own)) -}}
{{- fail (printf "\n\nnats.replicas: %s has %d and is to have %d, which would lose every stream. README.md of the chart, 'From one NATS to three', says how\n" $name $own $wanted) -}}
{{- end -}}
{{- end -}}
{{- end -}}
