{{/* Each file of files/alerts is one alert, named as the file; its runbook follows from the name.
`${name}` in it is a threshold of the values. */}}
{{- define "routerfleet.alerts" -}}
{{- $monitoring := .Values.monitoring -}}
{{- $rules := list -}}
{{- range $path, $content := .Files.Glob "files/alerts/*.yaml" -}}
{{- $name := base $path | trimSuffix ".yaml" -}}
{{- if not (has $name $monitoring.rules.disabled) -}}
{{- $text := toString $content -}}
{{- range $threshold, $value := $monitoring.rules.thresholds -}}
{{- $text = replace (printf "${%s}" $threshold) (include "routerfleet.scalar" $value) $text -}}
{{- end -}}
{{- $alert := fromYaml $text -}}
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
