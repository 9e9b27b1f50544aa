{{/* Settings as hublaunch gets them: by LAUNCHER_* variables. */}}

{{/* A value as the text of a variable: strings as they are, all else as JSON. */}}
{{- define "hublaunch.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toRawJson . }}{{ end -}}
{{- end }}

{{/* The resulting settings as a YAML object: `settings`, and defaults that follow from the other values. Explicit settings win. */}}
{{- define "hublaunch.settings" -}}
{{- $given := dict -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}{{ $_ := set $given $name $value }}{{ end -}}
{{- end -}}
{{- $fullname := include "hublaunch.fullname" . -}}
{{- $local := list "localhost" "127.0.0.1" $fullname (printf "%s.%s" $fullname .Release.Namespace) -}}
{{- $cluster := printf "%s.%s.svc" $fullname .Release.Namespace -}}
{{- $hosts := concat $local (list $cluster (printf "%s.cluster.local" $cluster)) -}}
{{- if .Values.ingress.enabled }}{{ $hosts = concat $hosts .Values.ingress.hosts }}{{ end -}}
{{- if .Values.httpRoute.enabled }}{{ $hosts = concat $hosts .Values.httpRoute.hostnames }}{{ end -}}
{{- $hosts = concat $hosts ($given.allowed_hosts | default list) | uniq -}}
{{- $_ := set $given "allowed_hosts" $hosts -}}
{{- if eq .Values.database.type "sqlite" -}}
{{- $_ := set $given "database_url" "sqlite:////data/hublaunch.sqlite" -}}
{{- end -}}
{{- if not $given.hub_url_local -}}
{{- $hub := ternary "localhost" "hub" (eq .Values.shape "extra-container") -}}
{{- $path := (urlParse ($given.hub_url | default "")).path | trimSuffix "/" -}}
{{- $_ := set $given "hub_url_local" (printf "http://%s:8081%s/" $hub $path) -}}
{{- end -}}
{{- if not $given.limits_file }}{{ $_ := set $given "limits_file" "/etc/hublaunch/files/limits.yaml" }}{{ end -}}
{{- if and .Values.catalogue (not $given.catalogue_file) -}}
{{- $_ := set $given "catalogue_file" "/etc/hublaunch/files/catalogue.yaml" -}}
{{- end -}}
{{- if and .Values.apiKeys.existingSecret (not $given.api_keys_file) -}}
{{- $_ := set $given "api_keys_file" "/etc/hublaunch/api-keys/api-keys.json" -}}
{{- end -}}
{{- if and .Values.registryCredentials.existingSecret (not $given.registry_config) -}}
{{- $_ := set $given "registry_config" "/etc/hublaunch/registry/.dockerconfigjson" -}}
{{- end -}}
{{- if and $given.metrics_port (not $given.metrics_host) -}}
{{- $_ := set $given "metrics_host" "0.0.0.0" -}}
{{- end -}}
{{- if and (eq .Values.shape "hub-service") (not $given.prefix) -}}
{{- $path := (urlParse ($given.hub_url | default "")).path | trimSuffix "/" -}}
{{- $_ := set $given "prefix" (printf "%s/services/%s/" $path $given.service_name) -}}
{{- end -}}
{{- $host := include "hublaunch.host" . -}}
{{- if and $host (ne .Values.shape "hub-service") (has "hub" $given.access) (not $given.oauth_callback_url) -}}
{{- $prefix := $given.prefix | default "" | trimAll "/" -}}
{{- $path := ternary (printf "/%s/oauth_callback" $prefix) "/oauth_callback" (ne $prefix "") -}}
{{- $_ := set $given "oauth_callback_url" (printf "https://%s%s" $host $path) -}}
{{- end -}}
{{- toYaml $given -}}
{{- end }}

{{/* The ports of the registries that are asked before the Hub, as a YAML list: 443, and those that patterns name. */}}
{{- define "hublaunch.registryPorts" -}}
{{- $settings := include "hublaunch.settings" . | fromYaml -}}
{{- $ports := list -}}
{{- if ne ($settings.preflight | default "auto") "off" -}}
{{- $ports = list 443 -}}
{{- $patterns := $settings.allowed_images | default list -}}
{{- range $_, $more := $settings.group_allowed_images | default dict }}{{ $patterns = concat $patterns $more }}{{ end -}}
{{- range $_, $environment := .Values.catalogue.environments }}{{ $patterns = append $patterns $environment.image }}{{ end -}}
{{- range $patterns -}}
{{- $port := regexFind "^[^/@]+:[0-9]+/" . | trimSuffix "/" | splitList ":" | last -}}
{{- if $port }}{{ $ports = append $ports (int $port) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml (uniq $ports) -}}
{{- end }}

{{/* Whether this release makes a Secret: "true" unless one is named. */}}
{{- define "hublaunch.makesSecret" -}}
{{- if not .Values.existingSecret }}true{{ end -}}
{{- end }}

{{- define "hublaunch.secretName" -}}
{{ .Values.existingSecret | default (include "hublaunch.fullname" .) }}
{{- end }}

{{- define "hublaunch.hubTokenKey" -}}
{{ .Values.hub.tokenSecret.key | default (printf "hub.services.%s.apiToken" .Values.settings.service_name) }}
{{- end }}
