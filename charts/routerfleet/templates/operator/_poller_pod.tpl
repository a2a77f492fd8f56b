{{/* What a shard's pod has besides what the operator knows itself; fleet_operator.poller_pods. */}}
{{- define "routerfleet.operator.pollerPod" -}}
{{- $pod := fromYaml (include "routerfleet.podValues" (dict "root" . "pod" .Values.poller.pod)) -}}
{{- $devices := .Values.poller.deviceMetrics -}}
{{- $env := dict
  "FLEET_POLLER__DEVICE_METRICS" (toString $devices.enabled)
  "FLEET_POLLER__DEVICE_METRICS_GROUPS" (join "," $devices.groups)
  "FLEET_POLLER__DEVICE_METRICS_MAX_SERIES" (include "routerfleet.scalar" $devices.maxSeries) -}}
{{- with .Values.tracing.endpoint -}}
{{- $_ := set $env "FLEET_TRACING__ENDPOINT" . -}}
{{- $_ := set $env "FLEET_TRACING__SAMPLE_RATIO" (include "routerfleet.scalar" $.Values.tracing.sampleRatio) -}}
{{- end -}}
{{- range $name, $value := .Values.poller.env -}}
{{- $_ := set $env $name (include "routerfleet.scalar" $value) -}}
{{- end -}}
{{- $annotations := deepCopy (default dict $pod.annotations) -}}
{{- if not .Values.monitoring.annotations -}}
{{- $annotations = merge $annotations (dict "prometheus.io/scrape" "false") -}}
{{- end -}}
resources: {{- toYaml .Values.poller.resources | nindent 2 }}
env: {{- toYaml $env | nindent 2 }}
podLabels: {{- toYaml (default dict $pod.labels) | nindent 2 }}
podAnnotations: {{- toYaml $annotations | nindent 2 }}
nodeSelector: {{- toYaml (default dict $pod.nodeSelector) | nindent 2 }}
tolerations: {{- toYaml (default list $pod.tolerations) | nindent 2 }}
affinity: {{- toYaml (default dict $pod.affinity) | nindent 2 }}
imagePullSecrets: {{- toYaml (default list .Values.image.pullSecrets) | nindent 2 }}
priorityClassName: {{ default "" $pod.priorityClassName | quote }}
{{- if $pod.topologySpread }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - {maxSkew: 1, topologyKey: {{ . }}, whenUnsatisfiable: {{ include "routerfleet.unsatisfiable" (list $pod .) }}}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The pollers' NATS user: of the bundled server, or from a Secret that may or may not have one. */}}
{{- define "routerfleet.operator.pollerLogin" -}}
{{- if .Values.nats.enabled }}
- name: FLEET_OPERATOR__POLLER_NATS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "routerfleet.nats.secret" . }}, key: poller-password}
{{- else }}
{{- if .Values.nats.external.existingSecret }}
- name: FLEET_OPERATOR__POLLER_NATS_USER
  valueFrom:
    secretKeyRef: {name: {{ .Values.nats.external.existingSecret }}, key: poller-user, optional: true}
- name: FLEET_OPERATOR__POLLER_NATS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .Values.nats.external.existingSecret }}, key: poller-password, optional: true}
{{- end }}
{{- if .Values.nats.external.credentialsSecret }}
- name: FLEET_OPERATOR__POLLER_NATS_CREDENTIALS_FILE
  value: /etc/routerfleet/nats/poller/user.creds
{{- end }}
{{- if .Values.nats.external.tls.pollerClientSecret }}
- name: FLEET_OPERATOR__POLLER_NATS_CERT_FILE
  value: /etc/routerfleet/nats/poller/tls.crt
- name: FLEET_OPERATOR__POLLER_NATS_KEY_FILE
  value: /etc/routerfleet/nats/poller/tls.key
{{- end }}
{{- end }}
{{- end -}}
