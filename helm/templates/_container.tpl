{{/* The container, and what it mounts: the same in its own pod and in the Hub's. */}}

{{- define "hublaunch.container" -}}
{{- $settings := include "hublaunch.settings" . | fromYaml -}}
name: hublaunch
image: {{ include "hublaunch.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef:
      name: {{ include "hublaunch.fullname" . }}
  - secretRef:
      name: {{ include "hublaunch.secretName" . }}
{{- $needsToken := and .Values.hub.tokenSecret.name (not .Values.secretSettings.hub_api_token) }}
{{- if or $needsToken .Values.extraEnv }}
env:
  {{- if $needsToken }}
  - name: LAUNCHER_HUB_API_TOKEN
    valueFrom:
      secretKeyRef:
        name: {{ .Values.hub.tokenSecret.name }}
        key: {{ include "hublaunch.hubTokenKey" . }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
ports:
  - name: hublaunch
    containerPort: 8083
    protocol: TCP
  {{- with $settings.metrics_port }}
  - name: metrics
    containerPort: {{ . }}
    protocol: TCP
  {{- end }}
startupProbe:
  httpGet:
    path: /healthz
    port: hublaunch
  periodSeconds: 2
  timeoutSeconds: 3
  # Two minutes: a replica may be updating the tables of PostgreSQL, or PostgreSQL may not be running yet.
  failureThreshold: 60
livenessProbe:
  httpGet:
    path: /healthz
    port: hublaunch
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
{{- /* In the Hub's pod, hublaunch's readiness must not decide whether the Hub is reachable. */}}
{{- if include "hublaunch.hasDeployment" . }}
readinessProbe:
  httpGet:
    path: /readyz
    port: hublaunch
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}
{{- if and (eq .Values.database.type "postgresql") (include "hublaunch.hasDeployment" .) (gt (int .Values.preStopS) 0) }}
lifecycle:
  preStop:
    exec:
      # This needs neither a shell nor Kubernetes 1.30, which has its own sleep.
      command: [python, -c, "import time; time.sleep({{ .Values.preStopS }})"]
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.containerSecurityContext | nindent 2 }}
volumeMounts:
  {{- if include "hublaunch.hasDeployment" . }}
  - name: data
    mountPath: /data
  {{- else if eq .Values.database.type "sqlite" }}
  - name: {{ .Values.extraContainer.volume }}
    mountPath: /data
    subPath: hublaunch
  {{- end }}
  {{- if .Values.apiKeys.existingSecret }}
  # The directory, not the file: a file that is mounted by itself does not change when keys are revoked.
  - name: hublaunch-api-keys
    mountPath: /etc/hublaunch/api-keys
    readOnly: true
  {{- end }}
  {{- if .Values.registryCredentials.existingSecret }}
  - name: hublaunch-registry
    mountPath: /etc/hublaunch/registry
    readOnly: true
  {{- end }}
  - name: hublaunch-files
    mountPath: /etc/hublaunch/files
    readOnly: true
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Volumes other than the data volume. */}}
{{- define "hublaunch.volumes" -}}
- name: hublaunch-files
  configMap:
    name: {{ include "hublaunch.fullname" . }}-files
{{- if .Values.apiKeys.existingSecret }}
- name: hublaunch-api-keys
  secret:
    secretName: {{ .Values.apiKeys.existingSecret }}
{{- end }}
{{- if .Values.registryCredentials.existingSecret }}
- name: hublaunch-registry
  secret:
    secretName: {{ .Values.registryCredentials.existingSecret }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
