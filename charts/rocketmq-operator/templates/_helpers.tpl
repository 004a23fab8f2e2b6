{{/* app.kubernetes.io/name */}}
{{- define "rocketmq-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{/* Name of the objects: the release's where it holds the chart's. At most 36, so that suffixes fit. */}}
{{- define "rocketmq-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "rocketmq-operator.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rocketmq-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "rocketmq-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rocketmq-operator.labels" -}}
{{ include "rocketmq-operator.selectorLabels" . }}
app.kubernetes.io/part-of: rocketmq-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (replace "+" "_" .Chart.Version) }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of pods: nothing that changes with each version of the chart. */}}
{{- define "rocketmq-operator.podLabels" -}}
{{ include "rocketmq-operator.selectorLabels" . }}
app.kubernetes.io/part-of: rocketmq-operator
{{- with merge (dict) .Values.podLabels .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rocketmq-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ printf "%s@%s" .repository .digest }}
{{- else -}}
{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* JSON list of the namespaces that the operator looks at; [] is all of them. */}}
{{- define "rocketmq-operator.namespaces" -}}
{{- $scope := .Values.watch.scope -}}
{{- $listed := .Values.watch.namespaces -}}
{{- if and (eq $scope "List") (not $listed) -}}
{{- fail "watch.scope is List: set watch.namespaces" -}}
{{- else if and (ne $scope "List") $listed -}}
{{- fail "watch.namespaces goes with watch.scope=List, and only with it" -}}
{{- else if eq $scope "Own" -}}
{{- list .Release.Namespace | toJson -}}
{{- else -}}
{{- uniq $listed | toJson -}}
{{- end -}}
{{- end -}}


{{/* Of an object of helm test. Takes the root, its name, its namespace and its weight. */}}
{{- define "rocketmq-operator.testMetadata" -}}
name: {{ index . 1 }}
namespace: {{ index . 2 }}
labels: {{- include "rocketmq-operator.testLabels" (index . 0) | nindent 2 }}
annotations:
  helm.sh/hook: test
  helm.sh/hook-weight: {{ index . 3 | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
{{- end -}}

{{/* Not those by which the operator's Service and budget find its pods. */}}
{{- define "rocketmq-operator.testLabels" -}}
app.kubernetes.io/name: rocketmq-selftest
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: rocketmq-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The pods of the test's cluster go where the operator goes. */}}
{{- define "rocketmq-operator.testPlacement" -}}
{{- with pick .Values "imagePullSecrets" "nodeSelector" "tolerations" -}}
podTemplate: {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* One in which the operator looks. */}}
{{- define "rocketmq-operator.testNamespace" -}}
{{- $namespaces := include "rocketmq-operator.namespaces" . | fromJsonArray -}}
{{- if $namespaces }}{{ first $namespaces }}{{ else }}{{ .Release.Namespace }}{{ end -}}
{{- end -}}
