{{- define "routerfleet.nats.secret" -}}
{{- if .Values.nats.enabled -}}
{{- default (include "routerfleet.name" (dict "root" . "component" "nats")) .Values.nats.auth.existingSecret -}}
{{- else -}}
{{- .Values.nats.external.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "routerfleet.nats.url" -}}
{{- if .Values.nats.enabled -}}
nats://{{ include "routerfleet.name" (dict "root" . "component" "nats") }}.{{ .Release.Namespace }}.svc:4222
{{- else -}}
{{- required "nats.external.url: give the address of your NATS servers, or set nats.enabled" .Values.nats.external.url -}}
{{- end -}}
{{- end -}}

{{/* How every service reaches NATS, as the user with all rights. */}}
{{- define "routerfleet.nats.env" -}}
- name: FLEET_NATS__URL
  value: {{ include "routerfleet.nats.url" . | quote }}
{{- if .Values.nats.enabled }}
- name: FLEET_NATS__USER
  value: services
- name: FLEET_NATS__PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "routerfleet.nats.secret" . }}, key: services-password}
{{- else if .Values.nats.external.existingSecret }}
{{- range $variable, $key := dict "FLEET_NATS__USER" "user" "FLEET_NATS__PASSWORD" "password" "FLEET_NATS__TOKEN" "token" }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ include "routerfleet.nats.secret" $ }}, key: {{ $key }}, optional: true}
{{- end }}
{{- end }}
{{- end -}}

{{/*
What follows from nats.streams, in bytes, as ServerBudget and server_memory_needed of
fleet_common.planning reckon; files/sizes.yaml has their figures.
*/}}
{{- define "routerfleet.nats.sizes" -}}
{{- $figures := fromYaml (.Files.Get "files/sizes.yaml") -}}
{{- $mebibyte := 1048576.0 -}}
{{- $streams := .Values.nats.streams -}}
{{- $fileStreams := addf $streams.tenants $figures.buckets -}}
{{- $file := float64 (include "routerfleet.bytes" $streams.fileBytes) -}}
{{- $memory := float64 (include "routerfleet.bytes" $streams.memoryBytes) -}}
{{- $ids := mulf $streams.messagesPerSecond $figures.duplicateWindowSeconds $figures.messageIdBytes -}}
{{- $own := addf $figures.serverBaseBytes (mulf $fileStreams $figures.fileStreamCacheBytes) (ceil $ids) -}}
{{- $limit := mulf (ceil (divf (addf $own (mulf $memory $figures.memoryStreamResident)) $figures.residentShare $mebibyte)) $mebibyte -}}
{{- $goLimit := subf (floor (mulf $limit $figures.residentShare)) $figures.outsideGoBytes -}}
{{- $account := addf $file $figures.bucketBytes -}}
{{- /* What is not a stream's: consumers' states. */ -}}
{{- $serverFile := addf $account (mulf 8 $mebibyte) -}}
{{- $disk := ceil (divf (mulf $serverFile $figures.diskOverhead) $mebibyte 1024.0) }}
memoryLimit: {{ int64 $limit | quote }}
goMemoryLimit: {{ int64 $goLimit | quote }}
accountFile: {{ int64 (mulf $account .Values.nats.replicas) | quote }}
accountMemory: {{ int64 (mulf $memory .Values.nats.replicas) | quote }}
serverFile: {{ int64 $serverFile | quote }}
serverMemory: {{ int64 $memory | quote }}
disk: {{ printf "%dGi" (int64 $disk) | quote }}
{{- end -}}
