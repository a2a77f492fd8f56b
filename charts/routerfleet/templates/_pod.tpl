{{/* What every pod of the chart must be: nobody special. */}}
{{- define "routerfleet.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .uid }}
runAsGroup: {{ .uid }}
fsGroup: {{ .uid }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "routerfleet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The shared and the component's own `pod` values, the component's winning. */}}
{{- define "routerfleet.podValues" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.pods) (deepCopy .pod)) -}}
{{- end -}}

{{/* Nodes are kept apart where that is required; zones, where possible: list $pod $topologyKey. */}}
{{- define "routerfleet.unsatisfiable" -}}
{{- $hard := and (eq (toString (index . 0).topologySpread) "required") (eq (index . 1) "kubernetes.io/hostname") -}}
{{- ternary "DoNotSchedule" "ScheduleAnyway" $hard -}}
{{- end -}}

{{/* Where a pod goes: dict "root" . "component" "writer" "pod" .Values.writer.pod. */}}
{{- define "routerfleet.scheduling" -}}
{{- $pod := fromYaml (include "routerfleet.podValues" .) -}}
{{- with $pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $pod.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $pod.topologySpread }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ include "routerfleet.unsatisfiable" (list $pod .) }}
    labelSelector:
      matchLabels: {{- include "routerfleet.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of a pod, without versions: a new chart alone restarts nothing. "port" is where its metrics are, "" for none. */}}
{{- define "routerfleet.podMetadata" -}}
{{- $pod := fromYaml (include "routerfleet.podValues" .) -}}
labels: {{- include "routerfleet.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: routerfleet
  {{- with $pod.labels }}{{ toYaml . | nindent 2 }}{{ end }}
{{- $annotations := dict -}}
{{- if and .port .root.Values.monitoring.annotations -}}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" .port "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- $annotations = mergeOverwrite $annotations (default dict .annotations) (default dict $pod.annotations) -}}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "routerfleet.adminPort" -}}
- name: admin
  containerPort: 9100
{{- end -}}

{{/* /livez is red for what a new process may cure; /healthz also when a database is away or full. */}}
{{- define "routerfleet.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{/* A value as text; Helm has whole numbers as floats and would write 8388608 as 8.388608e+06. */}}
{{- define "routerfleet.scalar" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ toString . }}{{ end -}}
{{- end -}}

{{/* A map of plain variables as a list, in the order of their names. */}}
{{- define "routerfleet.plainEnv" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ include "routerfleet.scalar" $value | quote }}
{{- end }}
{{- end -}}

{{/*
A service's environment: dict "own" (list "<yaml list>" …) "further" .Values.writer.env. A variable
that is given as a further one is the user's alone: twice in a list, the API server refuses it.
*/}}
{{- define "routerfleet.serviceEnv" -}}
{{- $further := default dict .further -}}
{{- $variables := list -}}
{{- range (compact .own | join "\n" | fromYamlArray) -}}
{{- if not (hasKey $further .name) -}}
{{- $variables = append $variables . -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $further -}}
{{- $variables = append $variables (dict "name" $name "value" (include "routerfleet.scalar" $value)) -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end -}}

{{/* Log and tracing settings that all services share. */}}
{{- define "routerfleet.commonEnv" -}}
- name: FLEET_LOG__LEVEL
  value: {{ .Values.log.level }}
- name: FLEET_LOG__FORMAT
  value: {{ .Values.log.format }}
{{- with .Values.tracing.endpoint }}
- name: FLEET_TRACING__ENDPOINT
  value: {{ . | quote }}
- name: FLEET_TRACING__SAMPLE_RATIO
  value: {{ $.Values.tracing.sampleRatio | quote }}
{{- end }}
{{- end -}}
