#!jinja|yaml|gpg
password: |
  -----BEGIN PGP MESSAGE-----

  hF4DIFADFaASWysSAQdAEmYafVa1mjGrH2dtzLALdgnoKzNrEEHU+jCJjI2+vm0w
  3ml7xEnKvD/3Zs3zyGU3JCSb/BJXLjfsWSqqShogDfeQMc9We/JtahiLKka1nuSo
  0kYB5JogP9WIoj1Qx6IwBw2XKk0HRBCVb/EbukrZKl3mPHvUqabE6IwgMKHkDEds
  jflKpNizQaWe+SdXluQTLWx01qBZ32p2
  =FZZV
  -----END PGP MESSAGE-----
plain: nothing to see
nested:
  list:
    - {{ 1 + 1 }}
    - |
      -----BEGIN PGP MESSAGE-----

      hF4DIFADFaASWysSAQdA7LVfvkUZnSzNAJWQmqdKUg9iHYcpac/0mZq1yANkxEgw
      jP3CZR5tSzxCYXK6/lX21XfMouB6HfHQ+dDMDxQ1q3/wX/V0RzwiLt4YMi253lSD
      0kEBnuL2se2ezZU3cYOe9/BH4GtG22hK8uCpYAnxS4EjbKGOhP8fXUmXc0/sk34d
      x3nENfsX8zqdeU6x5BFTx91elw==
      =V6uQ
      -----END PGP MESSAGE-----
  lines: |
    -----BEGIN PGP MESSAGE-----

    hF4DIFADFaASWysSAQdAVuC4RK8IKqCpZya3G3+EQgq56xFkacDnA3EddxF8OkUw
    wG+JHC+s3PRjHM8VHk3Zhrs8rggZsv3003fVSwrYeiiEr+iKyL3XrQ9VEDQzMpoB
    0koBH1zGs8fSzHYBEY3B2dE4tcPTvICsUekhHie3oe7WG4IyiVMRVcQM0fpT79Mt
    XUMYxKTFfvzen6DsEczU00TggpZw2LJRGLuXaA==
    =B/jW
    -----END PGP MESSAGE-----
  number: 5
  within: |
    user: a
    -----BEGIN PGP MESSAGE-----

    hF4DIFADFaASWysSAQdA7LVfvkUZnSzNAJWQmqdKUg9iHYcpac/0mZq1yANkxEgw
    jP3CZR5tSzxCYXK6/lX21XfMouB6HfHQ+dDMDxQ1q3/wX/V0RzwiLt4YMi253lSD
    0kEBnuL2se2ezZU3cYOe9/BH4GtG22hK8uCpYAnxS4EjbKGOhP8fXUmXc0/sk34d
    x3nENfsX8zqdeU6x5BFTx91elw==
    =V6uQ
    -----END PGP MESSAGE-----
    more: b
