package main

// finding is something that is wrong with a service.
type finding struct{}
