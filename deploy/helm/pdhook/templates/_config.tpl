{{- /* Directories of the pod in which secrets are mounted. */ -}}
{{- define "pdhook.secrets" -}}/var/run/secrets/pdhook{{- end }}

{{- /* Keys of pdhook.toml from values of the same name: maxAccess becomes max_access. JSON's texts, numbers and lists are TOML's. */ -}}
{{- define "pdhook.keys" -}}
{{- range $name, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{ snakecase $name }} = {{ toRawJson $value }}
{{- end }}
{{- end }}
{{- end }}

{{- define "pdhook.toml" -}}
{{- $secrets := include "pdhook.secrets" . -}}
{{- with .Values -}}
[teleport]
addr = {{ toRawJson .teleport.address }}
identity = "{{ $secrets }}/teleport/{{ .teleport.identitySecretPath }}"
{{- include "pdhook.keys" (omit .teleport "address" "identitySecretName" "identitySecretPath") }}

[pagerduty]
api_key = "{{ $secrets }}/pagerduty/{{ .pagerduty.apiKeySecretPath }}"
{{- include "pdhook.keys" (omit .pagerduty "apiKey" "apiKeyFromSecret" "apiKeySecretPath") }}

[webhook]
listen = ":8081"
{{- if .webhook.secretName }}
secrets = ["{{ $secrets }}/webhook/{{ .webhook.secretPath }}"]
{{- else }}
secrets = ["/var/lib/pdhook/webhook-secret"]
{{- end }}
{{- if .webhook.tls.secretName }}
tls_cert = "{{ $secrets }}/tls/tls.crt"
tls_key = "{{ $secrets }}/tls/tls.key"
{{- end }}
{{- if .webhook.clientCA.secretName }}
client_ca = "{{ $secrets }}/client-ca/{{ .webhook.clientCA.secretPath }}"
{{- end }}
{{- include "pdhook.keys" (omit .webhook "secretName" "secretPath" "tls" "clientCA") }}

[policy]
{{- include "pdhook.keys" .policy }}

[store]
path = "/var/lib/pdhook/store"
{{- include "pdhook.keys" .store }}

[admin]
token = "{{ $secrets }}/admin/{{ .admin.tokenSecretPath }}"

[log]
{{- include "pdhook.keys" .log }}
{{- end }}
{{- end }}
