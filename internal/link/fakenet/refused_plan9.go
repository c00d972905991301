package fakenet

import "errors"

// ErrRefused is what a write says when nobody listens.
var ErrRefused = errors.New("connection refused")
