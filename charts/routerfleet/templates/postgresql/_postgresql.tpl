{{/* The Secret that holds the writer's URL, and the key in it. */}}
{{- define "routerfleet.database.env" -}}
- name: FLEET_DATABASE__URL
  valueFrom:
    secretKeyRef:
      {{- if .Values.postgresql.enabled }}
      name: {{ include "routerfleet.name" (dict "root" . "component" "postgresql") }}
      key: url
      {{- else }}
      name: {{ required "postgresql.external.existingSecret: name a Secret that holds your database's URL, or set postgresql.enabled" .Values.postgresql.external.existingSecret }}
      key: {{ .Values.postgresql.external.urlKey }}
      {{- end }}
{{- end -}}
