//go:build go1.25

//go:debug asynctimerchan=0

package link

import (
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// slowConn is a socket with a stalled or a slow reader.
type slowConn struct {
	net.Conn
	takes    time.Duration // how long a write waits
	deadline time.Time
}

func (c *slowConn) Write(b []byte) (int, error) {
	if c.deadline.IsZero() || time.Until(c.deadline) > c.takes {
		time.Sleep(c.takes)
		return len(b), nil
	}
	time.Sleep(time.Until(c.deadline))
	return 0, os.ErrDeadlineExceeded
}

func (c *slowConn) SetWriteDeadline(deadline time.Time) error {
	c.deadline = deadline
	return nil
}

func (c *slowConn) Close() error { return nil }

func TestTheWritesOfATickWaitForNoLongerThanAQuarterOfASecondInSum(t *testing.T) {
	for name, tt := range map[string]struct {
		takes, between time.Duration
		written        int
	}{
		"a reader that has stalled":           {time.Hour, 0, 0},
		"a reader that is slow":               {60 * time.Millisecond, 0, 4},
		"a tick that is spread over its time": {60 * time.Millisecond, time.Second, 4}, // that time does not count
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := &slowConn{takes: tt.takes}
				l := linkTo(t, "10.0.0.1", &Net{Dial: func(string, string) (net.Conn, error) { return conn, nil }})
				ready(t, l, 0)
				for tick := 0; tick < 2; tick++ { // what one has waited is not the next one's
					waited := time.Duration(0)
					for written := 0; ; written++ {
						start := time.Now()
						err, fatal := l.Write([]byte("x"), 0)
						waited += time.Since(start)
						if err == nil && written < 10 {
							time.Sleep(tt.between)
							continue
						}
						if written != tt.written || !isTimeout(err) || !fatal || waited != 250*time.Millisecond {
							t.Errorf("tick %d: after %d writes and %v: %v, fatal %v", tick, written, waited, err, fatal)
						}
						break
					}
					if l.Rest(); !conn.deadline.IsZero() {
						t.Error("a deadline is left, whose timer would wake the process")
					}
				}
			})
		})
	}
}
