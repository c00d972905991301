//go:build root

package main

import _ "github.com/runtimemetrics/runtimemetrics"
