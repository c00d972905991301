package leaks

import (
	"bytes"
	"errors"
	"runtime"
	"strconv"
	"strings"
)

// stacks reads the text form of a goroutine profile (debug=1) while it is
// written. Of that text it needs the program counters: they give what the rest
// of the text shows, and the frames of package runtime, which the text leaves
// out and which say what a goroutine waits for.
type stacks struct {
	each func(goroutines int, pcs []uintptr) // called for each stack; pcs is valid during the call

	line  []byte // without its end, which has not come yet
	pcs   []uintptr
	total int // goroutines, by the first line; -1 before it
	found int // goroutines, by their stacks
	err   error
}

// maxLine bounds what is kept of a line. A stack of 1,024 frames, which is the
// most that GODEBUG=profstackdepth allows, has 20 KB; a goroutine's labels may
// have any length.
const maxLine = 64 << 10

func newStacks(each func(goroutines int, pcs []uintptr)) *stacks {
	return &stacks{each: each, total: -1}
}

// Write takes a part of the text. It never fails: finish does.
func (s *stacks) Write(p []byte) (int, error) {
	n := len(p)
	for {
		part, rest, whole := bytes.Cut(p, []byte{'\n'})
		s.line = append(s.line, part[:min(len(part), maxLine-len(s.line))]...)
		if !whole {
			return n, nil
		}
		s.take(string(s.line))
		s.line, p = s.line[:0], rest
	}
}

var errFormat = errors.New("the text of the profile goroutineleak has a form that is not known")

// take takes a line.
func (s *stacks) take(line string) {
	switch {
	case s.err != nil || line == "" || line[0] == '#': // what the program counters say, or labels
	case s.total < 0:
		_, total, ok := strings.Cut(line, "profile: total ")
		n, err := strconv.Atoi(total)
		if !ok || err != nil || n < 0 {
			s.err = errFormat
			return
		}
		s.total = n
	default:
		count, addresses, ok := strings.Cut(line, " @")
		n, err := strconv.Atoi(count)
		if !ok || err != nil || n <= 0 || n > s.total-s.found {
			s.err = errFormat
			return
		}
		s.pcs = s.pcs[:0]
		for _, address := range strings.Fields(addresses) {
			pc, err := strconv.ParseUint(address, 0, strconv.IntSize)
			if err != nil {
				s.err = errFormat
				return
			}
			s.pcs = append(s.pcs, uintptr(pc))
		}
		s.found += n
		// The runtime counts first and takes stacks then. A main goroutine that
		// stands at select {}, and a goroutine that came back in between, are
		// counted and have no stack: they have not leaked.
		if len(s.pcs) > 0 {
			s.each(n, s.pcs)
		}
	}
}

// finish returns an error if what was written is not a whole profile of the
// form that is known: a later release may write another one, and that must not
// look like a program without leaks.
func (s *stacks) finish() error {
	if s.err == nil && (len(s.line) > 0 || s.found != s.total) {
		return errFormat
	}
	return s.err
}

// place is where goroutines wait for ever.
type place struct {
	waitsFor  string // such as "chan send"
	function  string // of the program's own code, as far as it has a part in it
	file      string // its name without a directory
	line      int
	goroutine string // the function with which the goroutine began
}

// frames returns the frames of a stack, the innermost first.
func frames(pcs []uintptr) []runtime.Frame {
	var all []runtime.Frame
	for next := runtime.CallersFrames(pcs); ; {
		frame, more := next.Next()
		if frame.Function != "" && frame.Function != "runtime.goexit" {
			all = append(all, frame)
		}
		if !more {
			return all
		}
	}
}

// isMain tells whether a stack is that of the main goroutine.
func isMain(stack []runtime.Frame) bool {
	return len(stack) > 0 && stack[len(stack)-1].Function == "runtime.main"
}

// placeOf returns where the goroutine with that stack waits, module being the
// path of the program's main module. That is the innermost line of the main
// module; of any module but the standard library if the main module has no part
// in it; else of what called runtime or sync.
func placeOf(stack []runtime.Frame, module string) place {
	p := place{waitsFor: "something"}
	if len(stack) == 0 {
		return p
	}
	waiting := 0 // frames of the operation itself
	for ; waiting < len(stack); waiting++ {
		pkg, name := split(stack[waiting].Function)
		if pkg != "runtime" && pkg != "sync" && pkg != "internal/sync" && !strings.HasPrefix(pkg, "internal/runtime") {
			break
		}
		if operation := operationOf(pkg, name); operation != "" {
			p.waitsFor = operation
		}
	}
	at, best := min(waiting, len(stack)-1), 0
	for i := waiting; i < len(stack); i++ {
		pkg, _ := split(stack[i].Function)
		rank := 0
		if first, _, _ := strings.Cut(pkg, "/"); strings.Contains(first, ".") {
			rank = 1
		}
		if pkg == "main" || module != "" && (pkg == module || strings.HasPrefix(pkg, module+"/")) {
			rank = 2
		}
		if rank > best {
			at, best = i, rank
		}
	}
	where := stack[at]
	p.function, p.line, p.goroutine = where.Function, where.Line, stack[len(stack)-1].Function
	p.file = where.File[strings.LastIndexAny(where.File, `/\`)+1:]
	return p
}

// split returns the path of a function's package and the rest of its name.
func split(function string) (pkg, name string) {
	slash := strings.LastIndexByte(function, '/') + 1
	dot := strings.IndexByte(function[slash:], '.')
	if dot < 0 {
		return "", function
	}
	// The linker's names have the dots of the last part of a path like this.
	return strings.ReplaceAll(function[:slash+dot], "%2e", "."), function[slash+dot+1:]
}

// operationOf returns what a function of runtime or sync waits for, if that is
// known. Of several in one stack, the outermost is what the program called.
func operationOf(pkg, name string) string {
	if pkg == "runtime" {
		switch name {
		case "chansend", "chansend1":
			return "chan send"
		case "chanrecv", "chanrecv1", "chanrecv2":
			return "chan receive"
		case "selectgo":
			return "select"
		case "block":
			return "select without cases"
		}
		return ""
	}
	receiver, method, _ := strings.Cut(strings.TrimPrefix(name, "(*"), ").")
	switch receiver {
	case "Mutex", "RWMutex", "Cond", "Once":
		return "sync." + receiver
	case "WaitGroup":
		if method == "Wait" { // not Go, which calls what is the program's
			return "sync.WaitGroup"
		}
	}
	return ""
}
