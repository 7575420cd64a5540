package pack

import _ "embed"

// Readme is README.txt of every pack, in both languages.
//
//go:embed readme.txt
var Readme string
