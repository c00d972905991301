//go:build leaks

package main

import _ "github.com/runtimemetrics/runtimemetrics/leaks"
