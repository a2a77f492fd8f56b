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
{{- include "routerfleet.nats.check" . -}}
- name: FLEET_NATS__URL
  value: {{ include "routerfleet.nats.url" . | quote }}
{{- if .Values.nats.enabled }}
- name: FLEET_NATS__USER
  value: services
- name: FLEET_NATS__PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "routerfleet.nats.secret" . }}, key: services-password}
{{- else }}
{{- $external := .Values.nats.external }}
{{- if $external.existingSecret }}
{{- range $variable, $key := dict "FLEET_NATS__USER" "user" "FLEET_NATS__PASSWORD" "password" "FLEET_NATS__TOKEN" "token" }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ include "routerfleet.nats.secret" $ }}, key: {{ $key }}, optional: true}
{{- end }}
{{- end }}
{{- $files := dict }}
{{- if $external.credentialsSecret }}
{{- $_ := set $files "CREDENTIALS_FILE" "user.creds" }}
{{- end }}
{{- if $external.tls.caSecret }}
{{- $_ := set $files "CA_FILE" "ca.crt" }}
{{- end }}
{{- if $external.tls.clientSecret }}
{{- $_ := set $files "CERT_FILE" "tls.crt" }}
{{- $_ := set $files "KEY_FILE" "tls.key" }}
{{- end }}
{{- range $variable, $file := $files }}
- name: FLEET_NATS__{{ $variable }}
  value: /etc/routerfleet/nats/{{ $file }}
{{- end }}
{{- with $external.tls.serverName }}
- name: FLEET_NATS__SERVER_NAME
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
The files of an external NATS, as a volume's sources: dict "root" . "pollers" true. The operator
has the pollers' as well, in a folder of their own, and hands them on.
*/}}
{{- define "routerfleet.nats.sources" -}}
{{- $external := .root.Values.nats.external -}}
{{- $tls := $external.tls -}}
{{- if not .root.Values.nats.enabled -}}
{{- with $tls.caSecret }}
- secret: {name: {{ . }}, items: [{key: {{ $tls.caKey }}, path: ca.crt}]}
{{- end }}
{{- with $tls.clientSecret }}
- secret: {name: {{ . }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- with $external.credentialsSecret }}
- secret: {name: {{ . }}, items: [{key: user.creds, path: user.creds}{{ if $.pollers }}, {key: poller.creds, path: poller/user.creds}{{ end }}]}
{{- end }}
{{- if .pollers }}
{{- with $tls.pollerClientSecret }}
- secret: {name: {{ . }}, items: [{key: tls.crt, path: poller/tls.crt}, {key: tls.key, path: poller/tls.key}]}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* A volume from a list of sources, "" without any: dict "name" "nats" "sources" "<yaml list>". */}}
{{- define "routerfleet.files.volume" -}}
{{- with trim .sources -}}
- name: {{ $.name }}
  projected:
    defaultMode: 0440
    sources: {{- . | nindent 6 }}
{{- end -}}
{{- end -}}

{{- define "routerfleet.files.mount" -}}
{{- if trim .sources -}}
- {name: {{ .name }}, mountPath: /etc/routerfleet/{{ .name }}, readOnly: true}
{{- end -}}
{{- end -}}

{{/* What an external NATS may not be given. */}}
{{- define "routerfleet.nats.check" -}}
{{- $external := .Values.nats.external -}}
{{- if and (not .Values.nats.enabled) $external.tls.clientSecret (not $external.tls.pollerClientSecret) -}}
{{- fail "nats.external.tls.pollerClientSecret: the poller shards need a certificate too; name a Secret with one" -}}
{{- end -}}
{{- if and (not .Values.nats.enabled) $external.existingSecret $external.credentialsSecret -}}
{{- fail "nats.external: existingSecret or credentialsSecret, not both: one login is enough" -}}
{{- end -}}
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
{{- $disk := mulf $serverFile $figures.diskOverhead }}
memoryLimit: {{ int64 $limit | quote }}
goMemoryLimit: {{ int64 $goLimit | quote }}
accountFile: {{ int64 (mulf $account .Values.nats.replicas) | quote }}
accountMemory: {{ int64 (mulf $memory .Values.nats.replicas) | quote }}
serverFile: {{ int64 $serverFile | quote }}
serverMemory: {{ int64 $memory | quote }}
leastDisk: {{ int64 (ceil $disk) | quote }}
disk: {{ printf "%dGi" (int64 (ceil (divf $disk $mebibyte 1024.0))) | quote }}
{{- end -}}

{{/*
The size of each server's volume. A disk that fills stops JetStream, for everybody and for good;
streams at their limits do not, so the limits must fit the disk.
*/}}
{{- define "routerfleet.nats.volume" -}}
{{- $sizes := fromYaml (include "routerfleet.nats.sizes" .) -}}
{{- $name := include "routerfleet.name" (dict "root" . "component" "nats") -}}
{{- $volume := include "routerfleet.claimSize" (dict "root" . "name" $name "size" (default $sizes.disk .Values.nats.persistence.size)) -}}
{{- if lt (int64 (include "routerfleet.bytes" $volume)) (int64 $sizes.leastDisk) -}}
{{- $streams := include "routerfleet.scalar" .Values.nats.streams.fileBytes -}}
{{- fail (printf "\n\nnats.persistence.size: the volume is to have %s, and streams of %s (nats.streams.fileBytes) need a disk of %s. Leave the size empty, it follows then; or give it %s or more; or lower nats.streams.fileBytes\n" $volume $streams $sizes.disk $sizes.disk) -}}
{{- end -}}
{{- $volume -}}
{{- end -}}
