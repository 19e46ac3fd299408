package awsfake

import (
	"embed"
	"fmt"
	"sync"

	"example.com/cloister/internal/wire"
)

//go:embed models/*.json.gz
var modelFiles embed.FS

// parsed are the services without operations, by name: models do not change, and reading one costs milliseconds.
var parsed sync.Map //nolint:gochecknoglobals // a cache of what is embedded

// newService binds operations to the model of a service; internal/wire/trim.py writes the models.
func newService(name string, ops ...wire.Operation) (*wire.Service, error) {
	if known, ok := parsed.Load(name); ok {
		if service, ok := known.(*wire.Service); ok {
			return service.Bind(ops...)
		}
	}
	packed, err := modelFiles.ReadFile("models/" + name + ".json.gz")
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	service, err := wire.NewServiceFromModel(name, packed, 0)
	if err != nil {
		return nil, err
	}
	parsed.Store(name, service)
	return service.Bind(ops...)
}

// serviceNames are the services that are served, by the names that Call and Fault use. They are those of
// credential scopes, but for s3control, whose scope says "s3", and tag, whose scope says "tagging".
func serviceNames() []string {
	return []string{"bedrock", "cloudtrail", "ec2", "iam", "kms", "logs", "organizations", "s3", "s3control", "servicequotas", "sts", "tag"}
}
