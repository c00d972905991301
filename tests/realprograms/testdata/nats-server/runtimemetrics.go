package main

import _ "github.com/runtimemetrics/runtimemetrics/env"
