{{/* Each file of files/alerts is one alert, named as the file; its runbook follows from the name. */}}
{{- define "routerfleet.alerts" -}}
{{- $monitoring := .Values.monitoring -}}
{{- $rules := list -}}
{{- range $path, $content := .Files.Glob "files/alerts/*.yaml" -}}
{{- $name := base $path | trimSuffix ".yaml" -}}
{{- if not (has $name $monitoring.rules.disabled) -}}
{{- $alert := fromYaml (toString $content) -}}
{{- $annotations := dict
  "summary" $alert.summary
  "description" $alert.description
  "runbook" (printf "charts/routerfleet/runbooks/%s.md" $name) -}}
{{- with $monitoring.rules.runbookUrl -}}
{{- $_ := set $annotations "runbook_url" (printf "%s/%s.md" (trimSuffix "/" .) $name) -}}
{{- end -}}
{{- $labels := merge (dict "severity" $alert.severity) $monitoring.rules.labels -}}
{{- $rules = append $rules (dict "alert" $name "expr" $alert.expr "for" $alert.for "labels" $labels "annotations" $annotations) -}}
{{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}
