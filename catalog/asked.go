package catalog

import "sekisho"

// Asked are the categories of all columns that a statement may show, test or
// write, for the policy to decide by. Of a statement that is not understood it
// is every category there is.
func (j *Judgement) Asked() (all sekisho.Categories) {
	switch {
	case j.Kind == Plain:
		_, shown := j.Static()
		if j.Write != nil {
			shown |= j.catalog.categories(j.Write.Columns)
		}
		return shown | j.catalog.categories(j.Tested)
	case j.Kind == Told:
		return j.catalog.categories(j.columns)
	case len(j.Tables) > 0:
		return j.Categories
	}
	for _, c := range sekisho.AllCategories() {
		all |= c
	}
	return all
}
