{{/* Names and labels. */}}

{{- define "hublaunch.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "hublaunch.fullname" -}}
{{- $name := include "hublaunch.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "hublaunch.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hublaunch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hublaunch.labels" -}}
{{ include "hublaunch.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The labels of the pods that callers reach: its own, or the Hub's. */}}
{{- define "hublaunch.podLabels" -}}
{{- if eq .Values.shape "extra-container" -}}
{{ toYaml .Values.extraContainer.hubPodLabels }}
{{- else -}}
{{ include "hublaunch.selectorLabels" . }}
{{- end -}}
{{- end }}

{{- define "hublaunch.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "hublaunch.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "hublaunch.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* "true" where there may be more than one replica. */}}
{{- define "hublaunch.hasReplicas" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}true{{ end -}}
{{- end }}

{{/* "true" where it has a Deployment of its own. */}}
{{- define "hublaunch.hasDeployment" -}}
{{- if ne .Values.shape "extra-container" }}true{{ end -}}
{{- end }}

{{/* The host at which browsers reach it, if it has one of its own. */}}
{{- define "hublaunch.host" -}}
{{- $hosts := list -}}
{{- if .Values.ingress.enabled }}{{ $hosts = concat $hosts .Values.ingress.hosts }}{{ end -}}
{{- if .Values.httpRoute.enabled }}{{ $hosts = concat $hosts .Values.httpRoute.hostnames }}{{ end -}}
{{- first $hosts | default "" -}}
{{- end }}
