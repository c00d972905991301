package procstat

import "syscall"

func init() { wine = syscall.NewLazyDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil }
