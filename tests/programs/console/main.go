// Console does what it is told on standard input, one command a line, and
// answers each with one line: a test decides in what order things happen.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		words := strings.Fields(commands.Text())
		fmt.Println(do(words[0], words[1:]))
	}
}

func do(command string, args []string) string {
	switch command {
	case "parse": // the arguments, as if they had been given on the command line
		os.Args = append(os.Args[:1], args...)
		flag.Parse()
	case "set": // one flag
		if err := flag.Set(args[0], args[1]); err != nil {
			return err.Error()
		}
	case "start": // with fields of Config
		var cfg runtimemetrics.Config
		for _, arg := range args {
			field, value, _ := strings.Cut(arg, "=")
			switch field {
			case "StatsD":
				cfg.StatsD = value
			case "Prefix":
				cfg.Prefix, _ = strconv.Unquote(value)
			case "Pause":
				cfg.Pause, _ = time.ParseDuration(value)
			case "PacketSize":
				cfg.PacketSize, _ = strconv.Atoi(value)
			case "Runtime":
				cfg.Runtime = strings.Split(value, ",")
			case "Tags":
				cfg.Tags = strings.Split(value, ",")
			case "TagFormat":
				cfg.TagFormat = value
			case "DisableCPU":
				cfg.DisableCPU = true
			case "DisableMem":
				cfg.DisableMem = true
			case "DisableGC":
				cfg.DisableGC = true
			default:
				return "no such field"
			}
		}
		if err := runtimemetrics.Start(cfg); err != nil {
			return err.Error()
		}
	case "stop":
		runtimemetrics.Stop()
	case "values": // of all flags, as a program that shows its configuration does
		var values []string
		flag.VisitAll(func(f *flag.Flag) {
			values = append(values, fmt.Sprintf("%s=%v", f.Name, f.Value.(flag.Getter).Get()))
		})
		return strings.Join(values, " ")
	case "goroutines": // all of them, with their stacks
		buf := make([]byte, 1<<20)
		return strconv.Quote(string(buf[:runtime.Stack(buf, true)]))
	case "descriptors": // what they stand for
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return err.Error()
		}
		var open []string
		for _, entry := range entries {
			if what, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
				open = append(open, what)
			}
		}
		return strings.Join(open, " ")
	default:
		return "no such command"
	}
	return "ok"
}
