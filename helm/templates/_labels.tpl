{{- define "hublaunch.labels" -}}
app.kubernetes.io/name: hublaunch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
