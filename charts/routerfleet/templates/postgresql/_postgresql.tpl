{{/* The Secret with the bundled server's password. */}}
{{- define "routerfleet.postgresql.secret" -}}
{{- default (include "routerfleet.name" (dict "root" . "component" "postgresql")) .Values.postgresql.auth.existingSecret -}}
{{- end -}}

{{- define "routerfleet.postgresql.host" -}}
{{- printf "%s.%s.svc" (include "routerfleet.name" (dict "root" . "component" "postgresql")) .Release.Namespace -}}
{{- end -}}

{{/*
How the writer reaches the database: the bundled one by a password beside the URL, which may have
any characters there; another one by the URL in its Secret.
*/}}
{{- define "routerfleet.database.env" -}}
- name: FLEET_DATABASE__URL
  {{- if .Values.postgresql.enabled }}
  value: postgresql://routerfleet@{{ include "routerfleet.postgresql.host" . }}:5432/routerfleet
- name: PGPASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "routerfleet.postgresql.secret" . }}, key: password}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ required "postgresql.external.existingSecret: name a Secret that holds your database's URL, or set postgresql.enabled" .Values.postgresql.external.existingSecret }}
      key: {{ .Values.postgresql.external.urlKey }}
  {{- end }}
{{- $tls := .Values.postgresql.external.tls }}
{{- if and (not .Values.postgresql.enabled) $tls.caSecret }}
- name: PGSSLMODE
  value: verify-full
- name: PGSSLROOTCERT
  value: /etc/routerfleet/postgresql/ca.crt
{{- end }}
{{- if and (not .Values.postgresql.enabled) $tls.clientSecret }}
- name: PGSSLCERT
  value: /etc/routerfleet/postgresql/tls.crt
- name: PGSSLKEY
  value: /etc/routerfleet/postgresql/tls.key
{{- end }}
{{- end -}}

{{/* The files of an external PostgreSQL, as a volume's sources. */}}
{{- define "routerfleet.database.sources" -}}
{{- $tls := .Values.postgresql.external.tls -}}
{{- if not .Values.postgresql.enabled -}}
{{- with $tls.caSecret }}
- secret: {name: {{ . }}, items: [{key: {{ $tls.caKey }}, path: ca.crt}]}
{{- end }}
{{- with $tls.clientSecret }}
- secret: {name: {{ . }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- end -}}
{{- end -}}
