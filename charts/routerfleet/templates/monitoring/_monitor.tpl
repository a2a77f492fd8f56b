{{/* A PodMonitor or ServiceMonitor: dict "root" . "kind" "PodMonitor" "devices" false.
With an interval of their own, the shards have a monitor of their own that reads the two parts of
their page apart; both parts are one target to Prometheus but for the label `endpoint`. */}}
{{- define "routerfleet.monitor" -}}
{{- $root := .root -}}
{{- $monitoring := $root.Values.monitoring -}}
{{- $split := not (not $monitoring.deviceInterval) -}}
{{- $pods := eq .kind "PodMonitor" -}}
---
apiVersion: monitoring.coreos.com/v1
kind: {{ .kind }}
metadata:
  name: {{ include "routerfleet.fullname" $root }}{{ if .devices }}-shards{{ end }}
  labels: {{- include "routerfleet.labels" (dict "root" $root "component" "monitoring") | nindent 4 }}
    {{- with $monitoring.labels }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  # The shards too, and those of fleets in other namespaces.
  namespaceSelector: {{ if $root.Values.operator.namespaces }}{matchNames: {{ toJson (uniq (append $root.Values.operator.namespaces $root.Release.Namespace)) }}}{{ else }}{any: true}{{ end }}
  selector:
    matchLabels:
      app.kubernetes.io/name: routerfleet
      app.kubernetes.io/part-of: routerfleet
    {{- if $split }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: {{ ternary "In" "NotIn" .devices }}, values: [poller-shard]}
    {{- end }}
  {{ ternary "podMetricsEndpoints" "endpoints" $pods }}:
  {{- range $path := ternary (list "/metrics/service" "/metrics/devices") (list "/metrics") .devices }}
    - port: admin
      path: {{ $path }}
      interval: {{ ternary $monitoring.deviceInterval $monitoring.interval (eq $path "/metrics/devices") }}
      relabelings:
        - {sourceLabels: [__meta_kubernetes_{{ ternary "pod" "service" $pods }}_label_app_kubernetes_io_component], targetLabel: component}
        {{- if eq $path "/metrics/devices" }}
        - {targetLabel: endpoint, replacement: devices}
        {{- end }}
  {{- end }}
{{ end -}}
