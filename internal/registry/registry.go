// Package registry is the way of this module's own packages to what the root
// package does not export. The root package sets the functions.
package registry

import "fmt"

// Setting describes a flag and the environment variable that changes its default.
type Setting struct {
	Name    string                  // of the flag, such as "metric-prefix"
	Default string                  // before the environment
	Help    string                  // for -help; in backquotes what the value is
	Bool    bool                    // may be given as --name, without a value
	Check   func(text string) error // says what is wrong with a value, and what would be right
}

// AddSetting adds a setting to those of the root package, which defines its flag,
// unless it defines none. It is for init functions only. The function that it
// returns tells the text that the setting has at present.
var AddSetting func(Setting) (text func() string)

// Settings returns all settings, in the order of their documentation.
var Settings func() []Setting

// Log logs one line, without a line end, where the root package logs its own. It
// does not wait.
var Log func(line string)

// Describe returns the text of a panic's value. That is the program's code too, and
// may panic as well, or block.
func Describe(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a %T whose text panics as well", v)
		}
	}()
	return fmt.Sprint(v)
}

// NewTick makes a publisher with the settings of an environment alone and with
// the sources that are registered. It returns a function that makes one of its
// ticks at once and waits for the sources, and one that ends it.
var NewTick func(lookupEnv func(name string) (string, bool)) (tick, end func())
