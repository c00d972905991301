// Package chart draws the pictures of this module: panels of curves side by
// side, as a PNG.
package chart

import (
	"fmt"
	"image/color"
	"math"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Curve is a line through points. On a logarithmic axis they are positive.
type Curve struct {
	Name   string
	Points plotter.XYs
	Color  int  // of Colors
	Dashed bool // to be told from another curve of its colour
	Marks  bool // a mark at each point
}

// Axis is where a curve's points lie.
type Axis struct {
	Label    string
	Log      bool
	Min, Max float64 // powers of ten on a logarithmic axis
	Step     float64 // from tick to tick on a linear one
	Format   func(float64) string
}

// Panel is one plot.
type Panel struct {
	Title      string
	X, Y       Axis
	Curves     []Curve
	Legend     bool
	LegendLeft bool // at the left rather than the right, at the top in either case
}

// Colors can be told apart by the colour-blind, on paper and on a screen.
var Colors = []color.Color{
	color.RGBA{0x9a, 0x9a, 0x9a, 0xff}, // grey
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, // blue
	color.RGBA{0xe6, 0x9f, 0x00, 0xff}, // orange
	color.RGBA{0xd5, 0x3e, 0x00, 0xff}, // red
}

var (
	ink  = color.Gray{0x30}
	grid = color.Gray{0xe4}
	sans = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 10}
)

// Write draws panels side by side into the file path.
func Write(path string, panels ...Panel) error {
	const dpi = 160
	width, height := vg.Length(len(panels))*4.6*vg.Inch, 3.6*vg.Inch
	img := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.White))
	row := make([]*plot.Plot, len(panels))
	for i, p := range panels {
		var err error
		if row[i], err = p.plot(); err != nil {
			return err
		}
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: 18, PadTop: 8, PadBottom: 6, PadLeft: 6, PadRight: 14}
	for i, canvas := range plot.Align([][]*plot.Plot{row}, tiles, draw.New(img))[0] {
		row[i].Draw(canvas)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func (p Panel) plot() (*plot.Plot, error) {
	plt := plot.New()
	plt.BackgroundColor = color.White
	plt.Title.Text, plt.Title.Padding = p.Title, 6
	plt.Title.TextStyle.Font, plt.Title.TextStyle.Color = sans, ink
	plt.Title.TextStyle.Font.Size = 11
	p.X.apply(&plt.X)
	p.Y.apply(&plt.Y)
	lines := plotter.NewGrid()
	lines.Horizontal.Color, lines.Vertical.Color = grid, grid
	plt.Add(lines)
	plt.Legend.Top, plt.Legend.Left = true, p.LegendLeft
	plt.Legend.TextStyle.Font, plt.Legend.TextStyle.Color = sans, ink
	plt.Legend.ThumbnailWidth, plt.Legend.Padding, plt.Legend.YOffs = 24, 2, -4
	plt.Legend.XOffs = -20
	if p.LegendLeft {
		plt.Legend.XOffs = 4
	}
	for _, c := range p.Curves {
		line, err := plotter.NewLine(c.Points)
		if err != nil {
			return nil, fmt.Errorf("the curve %q: %w", c.Name, err)
		}
		line.Color, line.Width = Colors[c.Color], 1.6
		if c.Dashed {
			line.Dashes = []vg.Length{5, 3}
		}
		plt.Add(line)
		entry := []plot.Thumbnailer{line}
		if c.Marks {
			marks, err := plotter.NewScatter(c.Points)
			if err != nil {
				return nil, fmt.Errorf("the curve %q: %w", c.Name, err)
			}
			marks.GlyphStyle = draw.GlyphStyle{Color: Colors[c.Color], Radius: 2.4, Shape: draw.CircleGlyph{}}
			plt.Add(marks)
			entry = append(entry, marks)
		}
		if p.Legend {
			plt.Legend.Add(c.Name, entry...)
		}
	}
	// The curves may not reach from edge to edge, nor stay within them.
	plt.X.Min, plt.X.Max, plt.Y.Min, plt.Y.Max = p.X.Min, p.X.Max, p.Y.Min, p.Y.Max
	return plt, nil
}

func (a Axis) apply(axis *plot.Axis) {
	axis.Label.Text = a.Label
	axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = sans, ink
	axis.Tick.Label.Font, axis.Tick.Label.Color = sans, ink
	axis.Tick.Label.Font.Size = 9
	axis.LineStyle.Color, axis.Tick.LineStyle.Color = color.Gray{0x90}, color.Gray{0x90}
	axis.Padding = 0
	var ticks plot.ConstantTicks
	if a.Log {
		axis.Scale = plot.LogScale{}
		for i := range int(math.Round(math.Log10(a.Max/a.Min))) + 1 {
			v := a.Min * math.Pow10(i)
			ticks = append(ticks, plot.Tick{Value: v, Label: a.Format(v)})
		}
	} else {
		for i := range int(math.Round((a.Max-a.Min)/a.Step)) + 1 {
			v := a.Min + float64(i)*a.Step
			ticks = append(ticks, plot.Tick{Value: v, Label: a.Format(v)})
		}
	}
	axis.Tick.Marker = ticks
}
