// Command iris is a service of the web framework iris.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"

	"github.com/kataras/iris/v12"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen at")
	flag.Parse()
	app := iris.New()
	app.Get("/hello/{name}", func(ctx iris.Context) { ctx.WriteString("hello " + ctx.Params().Get("name")) })
	app.Get("/metrics", iris.FromStd(promhttp.Handler()))

	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	log.Fatal(app.Run(iris.Listener(l), iris.WithoutStartupLog))
}
