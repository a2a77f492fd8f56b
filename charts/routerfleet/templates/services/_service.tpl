{{/*
A service of ours that reads streams: dict "root" . "component" "writer" "service" "writer"
"values" .Values.writer "replicas" 1 "strategy" "RollingUpdate" "env" "<yaml list>"
"volumes" "<yaml list>" "mounts" "<yaml list>" "ports" "<yaml list>" "files" (dict "nats" "<sources>").
*/}}
{{- define "routerfleet.deployment" -}}
{{- $volumes := list .volumes -}}
{{- $mounts := list .mounts -}}
{{- range $name, $sources := .files -}}
{{- $volumes = append $volumes (include "routerfleet.files.volume" (dict "name" $name "sources" $sources)) -}}
{{- $mounts = append $mounts (include "routerfleet.files.mount" (dict "name" $name "sources" $sources)) -}}
{{- end -}}
{{- $volumes = join "\n" (compact $volumes) -}}
{{- $mounts = join "\n" (compact $mounts) -}}
{{- $context := merge (dict "pod" .values.pod "port" "9100") . -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "routerfleet.name" . }}
  labels: {{- include "routerfleet.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  strategy:
    type: {{ .strategy }}
    {{- if eq .strategy "RollingUpdate" }}
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    {{- end }}
  selector:
    matchLabels: {{- include "routerfleet.selector" . | nindent 6 }}
  template:
    metadata: {{- include "routerfleet.podMetadata" $context | nindent 6 }}
    spec:
      {{- if .serviceAccount }}
      serviceAccountName: {{ .serviceAccount }}
      {{- end }}
      automountServiceAccountToken: {{ ternary true false (not (empty .serviceAccount)) }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext: {{- include "routerfleet.podSecurity" (dict "uid" 10001) | nindent 8 }}
      {{- include "routerfleet.scheduling" $context | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "routerfleet.image" . | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          {{- with .args }}
          args: {{- . | nindent 12 }}
          {{- end }}
          env:
            {{- include "routerfleet.serviceEnv" (dict "own" (list .env (include "routerfleet.commonEnv" .root)) "further" .values.env) | nindent 12 }}
          ports:
            {{- include "routerfleet.adminPort" . | nindent 12 }}
            {{- with .ports }}{{ . | trim | nindent 12 }}{{ end }}
          {{- include "routerfleet.probes" . | nindent 10 }}
          resources: {{- toYaml .values.resources | nindent 12 }}
          securityContext: {{- include "routerfleet.containerSecurity" . | nindent 12 }}
          {{- with $mounts }}
          volumeMounts: {{- . | trim | nindent 12 }}
          {{- end }}
      {{- with $volumes }}
      volumes: {{- . | trim | nindent 8 }}
      {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "routerfleet.name" . }}
  labels: {{- include "routerfleet.labels" . | nindent 4 }}
spec:
  {{- if .headless }}
  clusterIP: None
  publishNotReadyAddresses: true
  {{- end }}
  selector: {{- include "routerfleet.selector" . | nindent 4 }}
  ports:
    - {name: admin, port: 9100, targetPort: admin}
    {{- with .servicePorts }}{{ . | trim | nindent 4 }}{{ end }}
{{- if gt (int .replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "routerfleet.name" . }}
  labels: {{- include "routerfleet.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "routerfleet.selector" . | nindent 6 }}
{{- end }}
{{- end -}}
