{{- define "auth-gateway.name" -}}
{{- if contains "auth-gateway" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-auth-gateway" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "auth-gateway.selector" -}}
app.kubernetes.io/name: auth-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "auth-gateway.labels" -}}
{{ include "auth-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "auth-gateway.many" -}}
{{- if or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled }}true{{ end -}}
{{- end -}}

{{- define "auth-gateway.prefix" -}}
{{- dig "server" "prefix" "/_auth" .Values.config -}}
{{- end -}}

{{- define "auth-gateway.scheme" -}}
{{- if dig "server" "tls" "" .Values.config }}HTTPS{{ else }}HTTP{{ end -}}
{{- end -}}

{{/* What would start and then be wrong is refused here, each in one sentence. */}}
{{- define "auth-gateway.refusals" -}}
{{- $config := .Values.config -}}
{{- if and (eq .Values.storage.kind "sqlite") (include "auth-gateway.many" .) -}}
{{- fail "SQLite is one file for one replica: set replicas to 1 and autoscaling.enabled to false, or storage.kind to postgres (docs/kubernetes.md)." -}}
{{- end -}}
{{- if dig "server" "listen" "" $config -}}
{{- fail "config.server.listen is the chart's (port 8080 of the pod): leave it out, service.port is the port in the cluster." -}}
{{- end -}}
{{- if hasKey $config "storage" -}}
{{- fail "config.storage is the chart's: say storage.kind, and put the URLs into the Secret that storage.postgres.secret names." -}}
{{- end -}}
{{- if dig "session" "keys_file" "" $config -}}
{{- fail "config.session.keys_file is the chart's: put session.keys into the Secret that storage.postgres.keys names." -}}
{{- end -}}
{{- if not (dig "server" "public_url" "" $config) -}}
{{- fail "config.server.public_url is missing: the address at which browsers reach the gateway, such as https://login.example.com." -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not (dig "server" "metrics_networks" "" $config)) -}}
{{- fail "serviceMonitor.enabled needs config.server.metrics_networks: the network of Prometheus' pods, without which it gets 403." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.from) -}}
{{- fail "networkPolicy.from is empty, so nobody would reach the gateway: name your ingress controller, or set networkPolicy.enabled to false." -}}
{{- end -}}
{{- range $name := list "keys" "stores" -}}
{{- if hasKey $.Values.secrets $name -}}
{{- fail (printf "secrets.%s is the chart's own name: choose another one." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* config.yaml: the user's, and what only the chart knows. */}}
{{- define "auth-gateway.config" -}}
{{- include "auth-gateway.refusals" . -}}
{{- $ours := dict "server" (dict "listen" ":8080" "workers" 1) -}}
{{- if eq .Values.storage.kind "sqlite" -}}
{{- $_ := set $ours "storage" (dict "url" "sqlite:////var/lib/auth-gateway/gateway.db") -}}
{{- $_ := set $ours "session" (dict "keys_file" "/var/lib/auth-gateway/session.keys") -}}
{{- else -}}
{{- $storage := dict "url_file" "/run/secrets/stores/database_url" -}}
{{- if .Values.storage.postgres.redis -}}
{{- $_ := set $storage "state_url_file" "/run/secrets/stores/state_url" -}}
{{- end -}}
{{- $_ := set $ours "storage" $storage -}}
{{- $_ := set $ours "session" (dict "keys_file" "/run/secrets/keys/session.keys") -}}
{{- end -}}
{{- mustMergeOverwrite $ours (deepCopy .Values.config) | toYaml -}}
{{- end -}}
