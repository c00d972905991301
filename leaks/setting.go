package leaks

import (
	"errors"
	"strconv"
	"time"
)

const minInterval = time.Second

// parseInterval reads the setting: whole seconds or a duration, of a second at
// least; 0 if there shall be no checks.
func parseInterval(text string) (time.Duration, error) {
	switch text {
	case "", "0", "off", "false", "no":
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if n, numberErr := strconv.ParseInt(text, 10, 64); numberErr == nil {
		n = min(max(n, 0), int64(maxInterval/time.Second)+1) // or the product might wrap
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < minInterval || d > maxInterval {
		return 0, errors.New("is not an interval of at least 1s; use whole seconds such as 600, a duration such as 10m, or off")
	}
	return d, nil
}

// maxInterval is ten years: nobody means more.
const maxInterval = 10 * 365 * 24 * time.Hour
