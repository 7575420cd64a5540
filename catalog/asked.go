package catalog

import "sekisho"

// AskedColumns are the columns that Asked's categories are of, sorted; of a
// statement that is not understood, all of its tables'.
func (j *Judgement) AskedColumns() []string {
	switch {
	case j.catalog == nil:
		return nil
	case j.Kind == Plain:
		shown, _ := j.Static()
		if j.Write != nil {
			shown = append(shown, j.Write.Columns...)
		}
		return set(append(shown, j.Tested...))
	case j.Kind == Told:
		return j.columns
	}
	return j.catalog.destroyed(j)
}

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
