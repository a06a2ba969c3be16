package config

import _ "embed" // for the example

//go:embed example.toml
var example string

// Example gives a configuration file that says of every key what it does, its variable and its default.
func Example() string { return example }
