// Dashboards before Grafana's own schemas: what they do not know, one finding a line.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	runtime := cog.NewRuntime()
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(statetimeline.VariantConfig())
	runtime.RegisterPanelcfgVariant(table.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			fmt.Println(err)
			continue
		}
		var board dashboard.Dashboard
		if err := board.UnmarshalJSONStrict(text); err != nil {
			fmt.Println(err)
		}
		if err := board.Validate(); err != nil {
			fmt.Println(err)
		}
		for _, one := range board.Panels {
			if panel := one.Panel; panel != nil {
				if _, known := runtime.ConfigForPanelcfgVariant(panel.Type); !known {
					fmt.Printf("panel type %s: its schema is not known here\n", panel.Type)
				}
			}
		}
	}
}
