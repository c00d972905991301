//go:build !unix && !windows

package process

import "time"

type system struct{}

func (system) cpu() (user, sys int64, ok bool) { return 0, 0, false }

func (system) start() time.Time { return initialized }
