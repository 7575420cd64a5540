package demo

import _ "embed"

// CatalogYAML says whose data is where in the store: a catalog.Config as YAML.
//
//go:embed catalog.yaml
var CatalogYAML string
