{{- define "pdhook.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 50 | trimAll "-_." }}
{{- end }}

{{- /* At most 50 characters: Kubernetes makes longer names and labels of it. No dots, which the name of a release may have and that of a service may not. */ -}}
{{- define "pdhook.fullname" -}}
{{- $name := include "pdhook.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ .Values.fullnameOverride | default $full | replace "." "-" | trunc 50 | trimAll "-" }}
{{- end }}

{{- define "pdhook.selector" -}}
app.kubernetes.io/name: {{ include "pdhook.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pdhook.labels" -}}
{{ include "pdhook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pdhook.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (empty .Values.serviceAccount.create | ternary "default" (include "pdhook.fullname" .)) }}
{{- end }}

{{- /* Secrets that the chart creates where the values name none. */ -}}
{{- define "pdhook.apiKeySecret" -}}
{{ .Values.pagerduty.apiKeyFromSecret | default (printf "%s-pagerduty" (include "pdhook.fullname" .)) }}
{{- end }}
{{- define "pdhook.tokenSecret" -}}
{{ .Values.admin.tokenFromSecret | default (printf "%s-admin" (include "pdhook.fullname" .)) }}
{{- end }}

{{- /* Metadata of an object, called with context, suffix (the end of its name), annotations and labels. */ -}}
{{- define "pdhook.metadata" -}}
name: {{ include "pdhook.fullname" .context }}{{ .suffix }}
namespace: {{ .context.Release.Namespace }}
labels:
  {{- merge (include "pdhook.labels" .context | fromYaml) (.labels | default dict) | toYaml | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
