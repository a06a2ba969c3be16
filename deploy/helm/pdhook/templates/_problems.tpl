{{- /* What the values lack or contradict, one on each line. */ -}}
{{- define "pdhook.problems" -}}
{{- $v := .Values -}}
{{- if $v.tbot.enabled }}
tbot.enabled: this chart brings no tbot. Install Teleport's own chart teleport/tbot beside it, set teleport.identitySecretName to the secret that it writes (RELEASE-out) and teleport.identitySecretPath to identity, and remove tbot.enabled.
{{- end }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "pdhook.fullname" .)) }}
fullnameOverride is missing: Kubernetes takes no service called {{ include "pdhook.fullname" . | quote }}. Name the objects with small letters, digits and "-", with a letter first.
{{- end }}
{{- if contains "teleport-plugin-pagerduty" $v.image.repository }}
image.repository is {{ quote $v.image.repository }}, Teleport's plugin: remove image, or name an image of pdhook.
{{- end }}
{{- if not $v.teleport.address }}
teleport.address is missing: host:port of Teleport's proxy or auth server, such as teleport.example.com:443.
{{- else if not (regexMatch "^[^/@[:space:]]+:[0-9]+$" $v.teleport.address) }}
teleport.address is {{ quote $v.teleport.address }}: want host:port without https://, such as teleport.example.com:443.
{{- end }}
{{- if not $v.teleport.identitySecretName }}
teleport.identitySecretName is missing: the secret with the identity of pdhook's Teleport user. Teleport's tbot chart keeps one; by hand: kubectl create secret generic pdhook-identity --from-file={{ $v.teleport.identitySecretPath }}=identity
{{- end }}
{{- if not (or $v.pagerduty.apiKeyFromSecret $v.pagerduty.apiKey) }}
pagerduty.apiKeyFromSecret is missing: the secret with PagerDuty's REST API key: kubectl create secret generic pdhook-pagerduty-key --from-file={{ $v.pagerduty.apiKeySecretPath }}=FILE. Or set pagerduty.apiKey, where values are safe.
{{- end }}
{{- if not $v.pagerduty.userEmail }}
pagerduty.userEmail is missing: login e-mail of the PagerDuty user in whose name incidents are opened.
{{- end }}
{{- $tls := $v.webhook.tls.secretName }}
{{- if and $tls $v.webhook.insecureHTTP }}
webhook.tls.secretName and webhook.insecureHTTP exclude each other: keep the first to end TLS in pdhook, the second to end it in an ingress or gateway.
{{- else if not (or $tls $v.webhook.insecureHTTP) }}
webhook.tls.secretName is missing: a secret of type kubernetes.io/tls with a certificate of a public authority. Or set webhook.insecureHTTP=true behind an ingress or gateway that ends TLS.
{{- end }}
{{- if and $v.webhook.clientCA.secretName (not $tls) }}
webhook.clientCA.secretName needs webhook.tls.secretName: pdhook sees client certificates only where it ends TLS itself. Have the ingress check them, and remove it.
{{- end }}
{{- if and (not $v.webhook.secretName) (not $v.persistence.enabled) }}
webhook.secretName is missing: without persistence there is no volume to keep the signing secret of the webhook subscription. Name a secret, which may be created later, or set persistence.enabled=true.
{{- else if and (not $v.webhook.secretName) (gt (int $v.replicaCount) 1) }}
webhook.secretName is missing: with replicaCount {{ $v.replicaCount }} all replicas need the same signing secret. Name a secret, which may be created later.
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
ingress.hosts is missing: the host name to which PagerDuty sends webhooks, such as [pdhook.example.com].
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
httpRoute.parentRefs is missing: the gateway that takes the route, such as [{name: public, namespace: gateways}].
{{- end }}
{{- range $v.extraEnv }}
{{- if has .name (list "PDHOOK_ADMIN_LISTEN" "PDHOOK_WEBHOOK_LISTEN") }}
extraEnv: remove {{ .name }}. The pod listens on 8081 for webhooks and on 8082 for probes; service.port is the port for others.
{{- end }}
{{- end }}
{{- $output := $v.log.output | default "stdout" }}
{{- $writable := not (hasPrefix "/" $output) }}
{{- range concat (list (dict "mountPath" "/var/lib/pdhook/")) ($v.extraVolumeMounts | default list) }}
{{- $writable = or $writable (hasPrefix .mountPath $output) }}
{{- end }}
{{- if not $writable }}
log.output is {{ quote $output }}: pdhook can only write below /var/lib/pdhook, and where extraVolumeMounts has a volume. kubectl logs shows what goes to stdout.
{{- end }}
{{- if and $v.networkPolicy.enabled $v.serviceMonitor.enabled (not $v.networkPolicy.adminFrom) }}
networkPolicy.adminFrom is missing: with serviceMonitor.enabled Prometheus has to reach the admin port, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}].
{{- end }}
{{- end }}
