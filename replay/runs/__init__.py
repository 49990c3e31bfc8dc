"""What a run over days leaves behind: its report, its figures, and where the log was incomplete."""
