# Written by a workflow; changes are lost.
[server]
host = {{ host }}
port = {{ port }}
workers = {{ workers | default("2") }}
{{ if tls }}tls = on
{{ else }}tls = off
{{ end }}
[upstreams]
{{ range .upstreams }}{{ .name }} = {{ .address }}
{{ end }}
