package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// drops returns how many datagrams the kernel has thrown away because the
// receive buffer of the socket that is bound to addr was full.
func drops(addr *net.UDPAddr) (int, error) {
	table, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return 0, err
	}
	// The address is in the machine's byte order.
	local := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(addr.IP.To4()), addr.Port)
	for line := range bytes.Lines(table) {
		// Connected sockets are listed as well, so the remote address counts.
		fields := strings.Fields(string(line))
		if len(fields) > 12 && fields[1] == local && fields[2] == "00000000:0000" {
			return strconv.Atoi(fields[12])
		}
	}
	return 0, fmt.Errorf("no socket is bound to %v", addr)
}

// clockTick is the unit of CPU time in /proc, the same on all of Linux.
const clockTick = time.Second / 100

// cpuTime returns the CPU time that a process has used, and how long its first
// thread, which does all the work in Node.js, was ready to run but had to wait
// for a core.
func cpuTime(pid int) (used, waited time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// The name may hold anything; state is the first field after it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, field := range fields[11:13] { // user and system
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, 0, err
		}
		used += time.Duration(n) * clockTick
	}
	sched, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0, 0, err
	}
	var ran int64
	_, err = fmt.Sscan(string(sched), &ran, &waited)
	return used, waited, err
}
