{{/* Values that contradict each other, which no schema can express. Each stops the release with a sentence that says what to do. */}}
{{- define "hublaunch.check" -}}
{{- $settings := .Values.settings -}}
{{- $sqlite := eq .Values.database.type "sqlite" -}}
{{- range .Files.Get "files/secret-settings.json" | fromJsonArray -}}
{{- if hasKey $settings . -}}
{{- fail (printf "settings.%s is secret: move it to secretSettings.%s, or, as LAUNCHER_%s, to your existingSecret." . . (upper .)) -}}
{{- end -}}
{{- end -}}
{{- if not $settings.hub_url -}}
{{- fail "settings.hub_url is not set: set it to the URL at which browsers reach the Hub, such as https://hub.example.org/." -}}
{{- end -}}
{{- if and .Values.existingSecret .Values.secretSettings -}}
{{- fail "existingSecret and secretSettings are both set: move all secrets into one of them." -}}
{{- end -}}
{{- if and $sqlite .Values.secretSettings.database_url -}}
{{- fail "secretSettings.database_url is set, and database.type is sqlite: set database.type to postgresql, or remove the URL." -}}
{{- end -}}
{{- if not (or $sqlite .Values.secretSettings.database_url .Values.existingSecret) -}}
{{- fail "database.type is postgresql, but there is no URL: set secretSettings.database_url, or name an existingSecret with LAUNCHER_DATABASE_URL." -}}
{{- end -}}
{{- if include "hublaunch.hasReplicas" . -}}
{{- if $sqlite -}}
{{- fail "More than one replica needs PostgreSQL, because only one process can use a SQLite file: set database.type to postgresql, or replicas to 1 and autoscaling.enabled to false." -}}
{{- end -}}
{{- if not (include "hublaunch.hasDeployment" .) -}}
{{- fail "An extra container runs in the Hub's only pod: set replicas to 1 and autoscaling.enabled to false, or shape to deployment." -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.hub.tokenSecret.name .Values.secretSettings.hub_api_token .Values.existingSecret) -}}
{{- fail "The Hub's token is missing: name z2jh's Secret in hub.tokenSecret.name, or set secretSettings.hub_api_token." -}}
{{- end -}}
{{- if and (has "key" $settings.access) (not (or .Values.apiKeys.existingSecret $settings.api_keys_file)) -}}
{{- fail "settings.access contains key, but there are no API keys: name the Secret that holds api-keys.json in apiKeys.existingSecret." -}}
{{- end -}}
{{- range list "anonymous" "invitation" -}}
{{- if and (has . $settings.access) (eq (toString $settings.create_user) "false") -}}
{{- fail (printf "settings.access contains %s, which needs temporary users: set settings.create_user to true, or remove %s." . .) -}}
{{- end -}}
{{- end -}}
{{- if and (has "invitation" $settings.access) (not (or .Values.catalogue $settings.catalogue_file)) -}}
{{- fail "settings.access contains invitation, but there is no catalogue: invitations are for its environments. Set catalogue, or remove invitation." -}}
{{- end -}}
{{- range $name, $environment := .Values.catalogue.environments -}}
{{- if $environment.warm -}}
{{- if $environment.groups -}}
{{- fail (printf "catalogue.environments.%s.warm keeps servers of temporary users, which are in no group, so the Hub's own check would refuse them: remove warm or groups." $name) -}}
{{- end -}}
{{- if not (include "hublaunch.makesUsers" $) -}}
{{- fail (printf "catalogue.environments.%s.warm needs temporary users: set settings.create_user to true and add anonymous, key or invitation to settings.access, or remove warm." $name) -}}
{{- end -}}
{{- if eq ($settings.token_mode | default "hub") "user_options" -}}
{{- fail (printf "catalogue.environments.%s.warm and settings.token_mode=user_options cannot be used together: a server without a visitor has no visitor's token. Remove one of them." $name) -}}
{{- end -}}
{{- if $settings.pre_launch_hook -}}
{{- fail (printf "catalogue.environments.%s.warm and settings.pre_launch_hook cannot be used together: the hook must see each launch before its server starts. Remove one of them." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.service.nodePort (eq .Values.service.type "ClusterIP") -}}
{{- fail "service.nodePort is set, and service.type is ClusterIP: set service.type to NodePort, or remove the port." -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.enabled is true, but ingress.hosts is empty: name the host of hublaunch." -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled is true, but httpRoute.parentRefs is empty: name your Gateway, as in [{name: public, namespace: gateways}]." -}}
{{- end -}}
{{- if and (or .Values.metrics.serviceMonitor.enabled .Values.metrics.prometheusRule.enabled) (not $settings.metrics_port) -}}
{{- fail "metrics.serviceMonitor and metrics.prometheusRule need metrics: set settings.metrics_port, for example to 9095." -}}
{{- end -}}
{{- end }}
