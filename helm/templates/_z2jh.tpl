{{/* The values that z2jh needs for this release, in addition to its own. */}}

{{/* "true" if launches can create temporary users. */}}
{{- define "hublaunch.makesUsers" -}}
{{- $settings := include "hublaunch.settings" . | fromYaml -}}
{{- $onlyHub := and (has "hub" $settings.access) (eq (len (uniq $settings.access)) 1) -}}
{{- if not (or $onlyHub (eq (toString $settings.create_user) "false")) }}true{{ end -}}
{{- end }}

{{/* The scopes of its role at the Hub, and no others. */}}
{{- define "hublaunch.scopes" -}}
{{- $settings := include "hublaunch.settings" . | fromYaml -}}
{{- $scopes := list "servers" -}}
{{- if include "hublaunch.makesUsers" . -}}
{{- $scopes = append $scopes "admin:users" -}}
{{- if ne ($settings.token_mode | default "hub") "user_options" }}{{ $scopes = append $scopes "tokens" }}{{ end -}}
{{- end -}}
{{ toJson $scopes }}
{{- end }}

{{/* The images that the Hub allows, as JSON: for everybody, and for members of groups. Environments count by their images. */}}
{{- define "hublaunch.hubImages" -}}
{{- $settings := include "hublaunch.settings" . | fromYaml -}}
{{- $images := $settings.allowed_images | default list -}}
{{- $groups := deepCopy ($settings.group_allowed_images | default dict) -}}
{{- range $_, $environment := .Values.catalogue.environments -}}
{{- $image := $environment.image -}}
{{/* As a pattern, an image without a tag would stand for all of its tags. */}}
{{- if not (regexMatch "[:@]" ($image | splitList "/" | last)) }}{{ $image = printf "%s:latest" $image }}{{ end -}}
{{- range $environment.groups }}{{ $_ := set $groups . (append (get $groups . | default list) $image) }}{{ end -}}
{{- if not $environment.groups }}{{ $images = append $images $image }}{{ end -}}
{{- end -}}
{{ toRawJson (dict "images" (uniq $images) "groups" $groups) }}
{{- end }}

{{/* The spawner_override of each size that has one, and the size's groups, as JSON. */}}
{{- define "hublaunch.sizes" -}}
{{- $sizes := list -}}
{{- range $_, $size := .Values.catalogue.sizes -}}
{{- with $size.user_options -}}
{{- with .spawner_override -}}
{{- $sizes = append $sizes (list . ($size.groups | default list)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toRawJson $sizes }}
{{- end }}

{{/* "true" if an environment has `content: spawner`, or may have it in a file of the operator's own. */}}
{{- define "hublaunch.fetches" -}}
{{- $settings := include "hublaunch.settings" . | fromYaml -}}
{{- if and $settings.catalogue_file (not .Values.catalogue) }}true{{ end -}}
{{- range .Values.catalogue.environments }}{{ if eq (.content | default "none") "spawner" }}true{{ end }}{{ end -}}
{{- end }}

{{- define "hublaunch.z2jh" -}}
{{- $settings := include "hublaunch.settings" . | fromYaml -}}
{{- $service := $settings.service_name -}}
{{- $mode := $settings.token_mode | default "hub" -}}
{{- $logsIn := and (has "hub" $settings.access) (or (eq .Values.shape "hub-service") $settings.oauth_callback_url) -}}
hub:
  {{- if eq (toString $settings.allow_named_servers) "true" }}
  allowNamedServers: true
  {{- end }}
  services:
    {{ $service }}:
      {{- if eq .Values.shape "hub-service" }}
      url: http://{{ include "hublaunch.fullname" . }}.{{ .Release.Namespace }}:{{ .Values.service.port }}
      {{- end }}
      {{- if $logsIn }}
      oauth_no_confirm: true
      {{- with $settings.oauth_callback_url }}
      oauth_redirect_uri: {{ . }}
      {{- end }}
      {{- end }}
      {{- if not (or (eq .Values.shape "hub-service") $logsIn) }} {}{{ end }}
  loadRoles:
    {{ $service }}:
      services: [{{ $service }}]
      scopes: {{ include "hublaunch.scopes" . }}
    {{- if has "hub" $settings.access }}
    user:
      scopes: [self, "access:services!service={{ $service }}"]
    {{- end }}
  extraConfig:
    hublaunch: |
      import json

      {{- $allowed := include "hublaunch.hubImages" . | fromJson }}
      HUBLAUNCH_IMAGES = {{ $allowed.images | toRawJson }}
      HUBLAUNCH_GROUP_IMAGES = {{ $allowed.groups | toRawJson }}
      HUBLAUNCH_SIZES = json.loads({{ include "hublaunch.sizes" . | toRawJson }})
      HUBLAUNCH_REQUIRE_DIGEST = {{ ternary "True" "False" (eq (toString $settings.require_digest) "true") }}
      HUBLAUNCH_PIN_DIGEST = {{ ternary "True" "False" (eq (toString $settings.pin_digest) "true") }}

      {{- .Files.Get "files/hub-wall.txt" | nindent 6 }}

      # KubeSpawner applies the default profile, with its image, to a request that names none. A launch names an image.
      from inspect import isawaitable

      hublaunch_profiles = c.KubeSpawner.get("profile_list")

      async def profiles_of(spawner):
          options = spawner.user_options
          if spawner.pending == "spawn" and options.get("image") and not options.get("profile"):
              return []
          profiles = hublaunch_profiles
          if callable(profiles):
              profiles = profiles(spawner)
          if isawaitable(profiles):
              profiles = await profiles
          return [profiles[key] for key in sorted(profiles)] if isinstance(profiles, dict) else profiles

      if hublaunch_profiles:
          c.KubeSpawner.profile_list = profiles_of
    {{- if include "hublaunch.fetches" . }}
    hublaunch-content: |
      {{- .Files.Get "files/hub-content.txt" | nindent 6 }}
      c.KubeSpawner.modify_pod_hook = hublaunch_fetch_in_pod(
          {{ .Values.content.gitImage | quote }}, {{ .Values.content.home | quote }}, c.KubeSpawner.get("modify_pod_hook")
      )
    {{- end }}
  {{- if eq .Values.shape "extra-container" }}
  extraContainers:
    - {{- include "hublaunch.container" . | nindent 6 }}
  extraVolumes:
    {{- include "hublaunch.volumes" . | nindent 4 }}
  # The Hub's pod has a NetworkPolicy of its own. These rules let callers reach hublaunch's port.
  networkPolicy:
    ingress:
      - ports:
          - port: 8083
            protocol: TCP
          {{- with $settings.metrics_port }}
          - port: {{ . }}
            protocol: TCP
          {{- end }}
  {{- end }}
{{- if and (include "hublaunch.makesUsers" .) (eq $mode "hub") (ne (toString $settings.token_in_url) "false") }}
singleuser:
  extraEnv:
    JUPYTERHUB_ALLOW_TOKEN_IN_URL: "1"
{{- end }}
{{- end }}
