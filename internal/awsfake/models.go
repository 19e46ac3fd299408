package awsfake

import (
	"embed"
	"fmt"

	"example.com/cloister/internal/wire"
)

//go:embed models/*.json.gz
var modelFiles embed.FS

// newService binds operations to the model of a service; internal/wire/trim.py writes the models.
func newService(name string, ops ...wire.Operation) (*wire.Service, error) {
	packed, err := modelFiles.ReadFile("models/" + name + ".json.gz")
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	return wire.NewServiceFromModel(name, packed, 0, ops...)
}

// serviceNames are the services that are served, by the names that Call and Fault use. They are those of
// credential scopes, but for s3control, whose scope says "s3".
func serviceNames() []string {
	return []string{"bedrock", "cloudtrail", "ec2", "kms", "logs", "organizations", "s3", "s3control", "sts"}
}
