// The same number and depth of goroutines as of threads in tests/programs/crowd.rs, or of tasks in
// tests/programs/tasks.rs. `crowd GOROUTINES DEPTH DEBUG`
//
// DEBUG is that of the goroutine profile: 1 counts stacks that are alike, 2 shows every goroutine.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"sync"
	"syscall"
)

//go:noinline
func descend(depth int, there *sync.WaitGroup, end chan struct{}) int {
	if depth > 0 {
		return descend(depth-1, there, end) + 1
	}
	there.Done()
	<-end
	return 0
}

func main() {
	threads, _ := strconv.Atoi(os.Args[1])
	depth, _ := strconv.Atoi(os.Args[2])
	debug, _ := strconv.Atoi(os.Args[3])
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2)
	go func() {
		for range signals {
			pprof.Lookup("goroutine").WriteTo(os.Stderr, debug)
			fmt.Fprintln(os.Stderr, "==== end of report ====")
		}
	}()
	var there sync.WaitGroup
	end := make(chan struct{})
	for number := 1; number < threads; number++ {
		there.Add(1)
		go descend(depth-2, &there, end)
	}
	there.Wait()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
