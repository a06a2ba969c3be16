{{- define "pdhook.pod" -}}
metadata:
  labels:
    {{- merge (include "pdhook.labels" . | fromYaml) (.Values.podLabels | default dict) | toYaml | nindent 4 }}
  annotations:
    {{- $checksum := dict "checksum/config" (include "pdhook.toml" . | sha256sum) }}
    {{- merge $checksum (.Values.podAnnotations | default dict) (.Values.annotations.pod | default dict) | toYaml | nindent 4 }}
spec:
  serviceAccountName: {{ include "pdhook.serviceAccount" . }}
  automountServiceAccountToken: false
  {{- /* Variables of a service that is called pdhook would look like pdhook's own. */}}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: pdhook
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [start]
      env:
        - name: PDHOOK_ADMIN_LISTEN
          value: ":8082"
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: webhook
          containerPort: 8081
        - name: admin
          containerPort: 8082
      {{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
      {{- with get $.Values $probe }}
      {{ $probe }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        {{- include "pdhook.mounts" . | nindent 8 }}
  volumes:
    {{- include "pdhook.volumes" . | nindent 4 }}
  {{- range $rule := list "nodeSelector" "affinity" "tolerations" "topologySpreadConstraints" "priorityClassName" }}
  {{- with get $.Values $rule }}
  {{ $rule }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}
