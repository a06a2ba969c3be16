{{- /* Secrets are mounted as directories: Kubernetes renews those, and never a file that is mounted by subPath. */ -}}
{{- define "pdhook.mountedSecrets" -}}
- {name: teleport, secret: {{ quote .Values.teleport.identitySecretName }}}
- {name: pagerduty, secret: {{ include "pdhook.apiKeySecret" . | quote }}}
- {name: admin, secret: {{ include "pdhook.tokenSecret" . | quote }}}
{{- with .Values.webhook }}
{{- if .secretName }}
- {name: webhook, secret: {{ quote .secretName }}, optional: true}
{{- end }}
{{- if .tls.secretName }}
- {name: tls, secret: {{ quote .tls.secretName }}}
{{- end }}
{{- if .clientCA.secretName }}
- {name: client-ca, secret: {{ quote .clientCA.secretName }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "pdhook.volumes" -}}
- name: config
  configMap:
    name: {{ include "pdhook.fullname" . }}
{{- range include "pdhook.mountedSecrets" . | fromYamlArray }}
- name: {{ .name }}
  secret:
    secretName: {{ quote .secret }}
    defaultMode: 0440
    {{- if .optional }}
    optional: true
    {{- end }}
{{- end }}
{{- if not .Values.persistence.enabled }}
- name: data
  emptyDir:
    sizeLimit: {{ .Values.persistence.size }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pdhook.mounts" -}}
{{- $secrets := include "pdhook.secrets" . -}}
- name: data
  mountPath: /var/lib/pdhook
{{- /* Where pdhook's commands look for it, such as in kubectl exec. A change restarts the pod anyway. */}}
- name: config
  mountPath: /etc/pdhook.toml
  subPath: pdhook.toml
  readOnly: true
{{- range include "pdhook.mountedSecrets" . | fromYamlArray }}
- name: {{ .name }}
  mountPath: {{ $secrets }}/{{ .name }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
