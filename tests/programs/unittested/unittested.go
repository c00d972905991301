// Package unittested is part of a service: it imports the library, and has unit
// tests.
package unittested

import _ "github.com/runtimemetrics/runtimemetrics"
