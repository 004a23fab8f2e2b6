{{/* The NameServer has this name, so that clients take NAME:9876; other names begin with it. */}}
{{- define "rocketmq-cluster.fullname" -}}
{{- $name := default .Release.Name .Values.fullnameOverride -}}
{{- if or (gt (len $name) 41) (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name)) -}}
{{- fail (printf "%s cannot be the name of a NameServer and the begin of others: at most 41 of a-z, 0-9 and -, beginning with a letter; set fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "rocketmq-cluster.brokerSet" -}}
{{ include "rocketmq-cluster.fullname" . }}-brokers
{{- end -}}

{{- define "rocketmq-cluster.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (replace "+" "_" .Chart.Version) }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rocketmq-cluster.metadata" -}}
name: {{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels: {{- include "rocketmq-cluster.labels" (index . 0) | nindent 2 }}
{{- end -}}

{{/* "true" where the release has a NameServer of its own. */}}
{{- define "rocketmq-cluster.hasNameServer" -}}
{{- if not (or .Values.brokerSet.nameServerRef .Values.brokerSet.externalNameServers) }}true{{ end -}}
{{- end -}}

{{/* What clients inside of Kubernetes take as namesrvAddr. */}}
{{- define "rocketmq-cluster.namesrvAddr" -}}
{{- if .Values.brokerSet.externalNameServers -}}
{{- join ";" .Values.brokerSet.externalNameServers -}}
{{- else -}}
{{- $ref := .Values.brokerSet.nameServerRef | default dict -}}
{{- printf "%s.%s.svc:9876" ($ref.name | default (include "rocketmq-cluster.fullname" .)) ($ref.namespace | default .Release.Namespace) -}}
{{- end -}}
{{- end -}}

{{/* A spec with the image of the release, where it names none. Takes the root and the spec. */}}
{{- define "rocketmq-cluster.withImage" -}}
{{- $spec := deepCopy (index . 1) -}}
{{- with (index . 0).Values.image -}}
{{- $spec = merge $spec (dict "image" .) -}}
{{- end -}}
{{- toYaml $spec -}}
{{- end -}}

{{/* Of an object of helm test. Takes the root, its name and its weight. */}}
{{- define "rocketmq-cluster.testMetadata" -}}
{{ include "rocketmq-cluster.metadata" (list (index . 0) (index . 1)) }}
annotations:
  helm.sh/hook: test
  helm.sh/hook-weight: {{ index . 2 | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
{{- end -}}
